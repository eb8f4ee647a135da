"""Rules that hold for every test: a clean environment, and nothing skipped in CI.

The one exception is marked `outside(VARIABLE)`: it needs a system whose address is in VARIABLE.
"""

import os
from collections.abc import Generator

import pytest

IN_CI = os.environ.get("CI") == "true"


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where keys of PostgreSQL databases are made, in place of the developer's own folder."""
    return str(tmp_path_factory.mktemp("home"))


@pytest.fixture(autouse=True)
def no_settings_from_the_shell(monkeypatch: pytest.MonkeyPatch, home: str) -> None:
    """A developer's own ESPF_ variables must not change what a test sees."""
    for name in [name for name in os.environ if name.startswith(("ESPF_", "PG"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", home)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test against a system that nobody can install here runs where its address is given."""
    missing = _not_given(item)
    if missing:
        pytest.skip(f"{missing} does not name such a system")


def _not_given(item: pytest.Item) -> str | None:
    names = [str(mark.args[0]) for mark in item.iter_markers("outside")]
    return next((name for name in names if not os.environ.get(name)), None)


def _fail_if_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    """At home a missing PostgreSQL or nginx skips; in CI it would hide what was never tested."""
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} was skipped, which CI does not allow: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test that skips in CI, unless it is marked to need what CI cannot have."""
    report = yield
    if _not_given(item) is None:
        _fail_if_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Fail a module that skips as a whole in CI."""
    report = yield
    _fail_if_skipped(report)
    return report
