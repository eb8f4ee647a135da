"""The event log of each engine for the contract tests: the same suite holds for all of them.

Import it as `storage_rig`. Another engine joins by its class here and its name in `ENGINES`.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from engine_rig import START_US, FakeClock, append_events, entity_of, make_database, open_plain
from espf.eventlog.model import (
    LANES,
    AttemptRow,
    LaneLease,
    LanePosition,
    OutcomeName,
    ParkRow,
    Settlement,
    StatusName,
    UnparkRow,
)
from espf.eventlog.operations import HandlerChange, Operations
from espf.eventlog.port import EventLog
from espf.eventlog.sqlite.log import SqliteEventLog
from espf.eventlog.operating.operations import SessionOperations
from espf.eventlog.sqlite.session import SqliteSession


class SqliteStorage:
    """A fresh database, its two ports, and a shell on it."""

    def __init__(self, folder: Path) -> None:
        self.path = make_database(folder / "espf.sqlite3")
        self.clock = FakeClock()
        self.operations: Operations = SessionOperations(SqliteSession(self.path), self.clock)
        self.log: EventLog = self.another_log()
        self.shell = open_plain(self.path)

    def another_log(self) -> EventLog:
        return SqliteEventLog(self.path, self.clock)

    async def close(self) -> None:
        await self.log.close()
        self.operations.close()
        self.shell.close()

    # ---- what a shell does ----

    def append(self, pairs: Iterable[tuple[int, str]], variables: str = "{}") -> list[int]:
        return append_events(self.shell, pairs, variables)

    def all(self, question: str) -> list[tuple[Any, ...]]:
        return self.shell.execute(question).fetchall()

    def parked(self) -> dict[int, int | None]:
        """Due time of each parked event."""
        return dict(self.all("SELECT i_event, due_us FROM parked ORDER BY i_event"))

    # ---- handlers ----

    def add(self, change: HandlerChange) -> int:
        self.operations.apply([change])
        found = {row.name: row.i_handler for row in self.operations.handlers()}
        return found[change.name]


Storage = SqliteStorage
ENGINES = {"sqlite": SqliteStorage}


def settlement(instance: str = "one", at_us: int = START_US) -> Settlement:
    return Settlement(instance, at_us)


def attempt_row(
    i_handler: int,
    i_event: int,
    status: StatusName = "finished",
    outcome: OutcomeName = "delivered",
    **given: Any,
) -> AttemptRow:
    row = AttemptRow(
        i_handler, i_event, 1, outcome, status, START_US, 1500, 200, None, "{}", "ok", "one"
    )
    return row._replace(**given)


def park_row(
    i_handler: int, i_event: int, entity_id: int, due_us: int | None = START_US, **given: Any
) -> ParkRow:
    row = ParkRow(
        i_handler=i_handler,
        i_event=i_event,
        entity=entity_of("Account/Blocked"),
        entity_id=entity_id,
        lane=entity_id % LANES,
        attempts=1,
        probes=0,
        in_progress=0,
        due_us=due_us,
        parked_us=START_US,
        first_attempt_us=START_US,
        stopped_base_us=0,
        coalesced=0,
        reason="busy",
    )
    return row._replace(**given)


def unpark_row(i_handler: int, i_event: int, entity_id: int) -> UnparkRow:
    return UnparkRow(i_handler, i_event, entity_of("Account/Blocked"), entity_id)


def moved(i_handler: int, lease: LaneLease, position: int) -> LanePosition:
    return LanePosition(i_handler, lease.lane, position, lease.fence)
