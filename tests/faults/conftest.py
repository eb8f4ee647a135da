"""The summary of the faults, at the end of a run."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fault_verdict import HEAD, VERDICTS, total
from fault_world import World, postgres_database, sqlite_database, world_on


@pytest.fixture
def world() -> Iterator[World]:
    """On a durable PostgreSQL database."""
    with postgres_database() as database, world_on(database) as made:
        yield made


@pytest.fixture
def sqlite_world(tmp_path: Path) -> Iterator[World]:
    with sqlite_database(tmp_path) as database, world_on(database) as made:
        yield made


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A table with a line for each fault."""
    if not VERDICTS:
        return
    terminalreporter.section("faults")
    terminalreporter.line(HEAD)
    for verdict in VERDICTS:
        terminalreporter.line(verdict.line)
    terminalreporter.line(total())
