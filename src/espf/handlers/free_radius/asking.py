"""The statements of this handler, and the port to the database they are run in."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple, Protocol

from espf.eventlog.statements import read_files

Rows = list[tuple[Any, ...]]


class Question(NamedTuple):
    """A statement's name with its parameters."""

    name: str
    bound: Mapping[str, object]


class RadiusDatabase(Protocol):
    """SQLite and PostgreSQL implement it. Raises NotNow, Unclear and Refused only."""

    shown: str
    """For people: no password in it."""

    async def ask(self, *wanted: Question) -> list[Rows]:
        """Rows of each statement."""

    async def change(self, wanted: Sequence[Question]) -> None:
        """Run the statements in one transaction: all or nothing."""

    async def close(self) -> None:
        """Give up the connection."""


@cache
def as_written() -> dict[str, str]:
    """All statements by name, with `:name` for parameters."""
    return read_files("espf.handlers.free_radius", ["radius"])
