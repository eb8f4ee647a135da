"""The event log of each engine for the contract tests: the same suite holds for all of them.

Import it as `storage_rig`. Another engine joins by its class here and its name in `ENGINES`.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from engine_rig import START_US, FakeClock, append_events, entity_of, make_database, open_plain
from espf.database_url import DatabaseUrl, PostgresUrl, SqliteUrl
from espf.eventlog.model import (
    ALL_LANES,
    LANES,
    AttemptRow,
    Batch,
    DueEvents,
    LaneLease,
    LanePosition,
    OutcomeName,
    ParkRow,
    Settlement,
    Standing,
    StatusName,
    UnparkRow,
)
from espf.eventlog.operating.operations import SessionOperations
from espf.eventlog.operations import HandlerChange, Operations
from espf.eventlog.port import EventLog
from espf.eventlog.postgres.log import PostgresEventLog
from espf.eventlog.postgres.session import PostgresSession
from espf.eventlog.sqlite.log import SqliteEventLog
from espf.eventlog.sqlite.session import SqliteSession
from postgres_rig import clone


class Storage:
    """A fresh database, its two ports, and a shell on it."""

    clock: FakeClock
    operations: Operations
    log: EventLog
    url: DatabaseUrl

    def another_log(self) -> EventLog:
        raise NotImplementedError

    async def close(self) -> None:
        await self.log.close()
        self.operations.close()

    # ---- what a shell does ----

    def execute(self, statement: str) -> None:
        raise NotImplementedError

    def all(self, question: str) -> list[tuple[Any, ...]]:
        raise NotImplementedError

    def append(
        self, pairs: Iterable[tuple[int, str]], variables: str = "{}", *, bulk: bool = False
    ) -> list[int]:
        """Append (entity_id, event_type) pairs as capture does; returns their numbers."""
        raise NotImplementedError

    def parked(self) -> dict[int, int | None]:
        """Due time of each parked event."""
        return dict(self.all("SELECT i_event, due_us FROM parked ORDER BY i_event"))

    # ---- handlers ----

    def add(self, change: HandlerChange) -> int:
        self.operations.apply([change])
        found = {row.name: row.i_handler for row in self.operations.handlers()}
        return found[change.name]

    # ---- the log, as one who owns all lanes asks it ----

    async def standing(self) -> Standing:
        """Where the log stands, by a log that has not asked before."""
        asker = self.another_log()
        try:
            found = await asker.poll()
            later = await asker.poll()  # what was not on disk is by then
        finally:
            await asker.close()
        assert found is not None
        return later or found

    async def take(self, i_handler: int, owner: str) -> list[LaneLease]:
        rows = [row for row in await self.log.lanes() if row.i_handler == i_handler]
        return await self.log.take_lanes(i_handler, owner, rows)

    async def read(self, i_handler: int, after: int, upto: int, limit: int) -> Batch:
        return await self.log.read(i_handler, after, upto, limit, range(LANES), bulk_after=0)

    async def due(
        self, i_handler: int, now_us: int, limit: int, exclude: list[int], *, early: bool
    ) -> DueEvents:
        return await self.log.due(i_handler, now_us, limit, exclude, range(ALL_LANES), early=early)


class SqliteStorage(Storage):
    """On a file."""

    def __init__(self, folder: Path) -> None:
        self.path = make_database(folder / "espf.sqlite3")
        self.url = SqliteUrl(self.path)
        self.clock = FakeClock()
        self.operations = SessionOperations(SqliteSession(self.path), self.clock)
        self.log = self.another_log()
        self.shell = open_plain(self.path)

    def another_log(self) -> EventLog:
        return SqliteEventLog(self.path, self.clock)

    async def close(self) -> None:
        await super().close()
        self.shell.close()

    def execute(self, statement: str) -> None:
        self.shell.execute(statement)

    def all(self, question: str) -> list[tuple[Any, ...]]:
        return self.shell.execute(question).fetchall()

    def append(
        self, pairs: Iterable[tuple[int, str]], variables: str = "{}", *, bulk: bool = False
    ) -> list[int]:
        return append_events(self.shell, pairs, variables, bulk=bulk)


class PostgresStorage(Storage):
    """On a database of the run's server."""

    def __init__(self, url: PostgresUrl) -> None:
        self.url = url
        self.clock = FakeClock()
        self.operations = SessionOperations(PostgresSession(url), self.clock)
        self.log = self.another_log()
        self.shell = psycopg.connect(url.conninfo, autocommit=True)

    def reconnect(self) -> None:
        """After the server's restart."""
        self.shell.close()
        self.shell = psycopg.connect(self.url.conninfo, autocommit=True)

    def another_log(self) -> EventLog:
        return PostgresEventLog(self.url, self.clock)

    async def close(self) -> None:
        await super().close()
        self.shell.close()

    def execute(self, statement: str) -> None:
        self.shell.execute(statement.encode())

    def all(self, question: str) -> list[tuple[Any, ...]]:
        return self.shell.execute(question.encode()).fetchall()

    def append(
        self, pairs: Iterable[tuple[int, str]], variables: str = "{}", *, bulk: bool = False
    ) -> list[int]:
        numbers = []
        with self.shell.transaction():
            for entity_id, event_type in pairs:
                row = self.shell.execute(
                    "INSERT INTO event"
                    " (i_env, event_type, entity, entity_id, lane, variables, bulk)"
                    " VALUES (1, %s, %s, %s, %s, %s, %s) RETURNING i_event",
                    (
                        event_type,
                        entity_of(event_type),
                        entity_id,
                        entity_id % LANES,
                        variables,
                        int(bulk),
                    ),
                ).fetchone()
                assert row is not None
                numbers.append(row[0])
        return numbers


ENGINES = ("postgres", "sqlite")


@contextmanager
def storage_on(engine: str, folder: Path) -> Iterator[Storage]:
    """A fresh database of that engine; the caller closes the storage."""
    if engine == "sqlite":
        yield SqliteStorage(folder)
        return
    with clone() as url:
        yield PostgresStorage(url)


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
