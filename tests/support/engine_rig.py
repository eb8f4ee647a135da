"""What tests of the event log and the engine share: a database, events, a fake clock and far side.

Found by pytest through `pythonpath`; import it as `engine_rig`.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ConfigDict

from espf.eventlog.model import LANES, HandlerRow, InstanceRow
from espf.eventlog.operating.operations import SessionOperations
from espf.eventlog.operations import HandlerChange
from espf.eventlog.sqlite.session import SqliteSession
from espf.events.model import Event
from espf.handlers.port import Attempt, Delivered, Handler, Outcome, Skipped
from espf.handlers.settings import HandlerSettings

PLAIN = "Account/Blocked"
OTHER = "Account/Unblocked"
COALESCED = "Customer/Status/Limited"
FOREIGN = "Account/New"
"""A type that no handler of these tests is subscribed to."""

START_US = 1_790_000_000_000_000

_OF_THE_REGISTRY = {"0004_sqlite.sql"}
"""Changes tables that are the registry's, and not there without it."""


class FakeClock:
    """Both clocks, moved by hand."""

    def __init__(self) -> None:
        self.elapsed_s = 1000.0
        self.jump_us = 0

    def now_us(self) -> int:
        return START_US + self.jump_us + int(self.elapsed_s * 1_000_000)

    def monotonic(self) -> float:
        return self.elapsed_s

    def advance(self, seconds: float) -> None:
        self.elapsed_s += seconds


def make_database(path: Path) -> Path:
    """A fresh database file with the tables of the event log."""
    folder = resources.files("espf.schema").joinpath("migrations")
    files = {file.name for file in folder.iterdir() if file.name.endswith("_sqlite.sql")}
    scripts = [folder.joinpath(name).read_text() for name in sorted(files - _OF_THE_REGISTRY)]
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.executescript("\n".join(scripts))
    connection.close()
    return path


def handler_change(
    name: str = "hss",
    types: Iterable[str] = (PLAIN, OTHER, COALESCED),
    *,
    enabled: bool = True,
    keep_events: bool = True,
    start: int | None = 1,
    **options: object,
) -> HandlerChange:
    """A handler as `espf apply` would store it."""
    return HandlerChange(
        name=name,
        type="Scripted",
        enabled=enabled,
        keep_events=keep_events,
        options=options,
        subscriptions=tuple(sorted(types)),
        event_types=frozenset(types),
        start=start,
    )


def add_handlers(path: Path, clock: Any, *changes: HandlerChange) -> list[HandlerRow]:
    """Store handlers; returns them in the order of the arguments."""
    operations = SessionOperations(SqliteSession(path), clock)
    operations.apply(changes)
    rows = {row.name: row for row in operations.handlers()}
    operations.close()
    return [rows[change.name] for change in changes]


def entity_of(event_type: str) -> str:
    return event_type.partition("/")[0].lower()


def append_events(
    connection: sqlite3.Connection,
    events: Iterable[tuple[int, str]],
    variables: str = "{}",
    *,
    bulk: bool = False,
) -> list[int]:
    """Append (entity_id, event_type) pairs as capture does; returns their numbers.

    `bulk`: as a dispatcher does that derives many.
    """
    numbers = []
    connection.execute("BEGIN IMMEDIATE")
    for entity_id, event_type in events:
        cursor = connection.execute(
            "INSERT INTO event (i_env, event_type, entity, entity_id, lane, variables, bulk)"
            " VALUES (1, ?, ?, ?, ?, ?, ?)",
            (event_type, entity_of(event_type), entity_id, entity_id % LANES, variables, bulk),
        )
        numbers.append(int(cursor.lastrowid or 0))
    connection.execute("COMMIT")
    return numbers


def open_plain(path: Path) -> sqlite3.Connection:
    """A connection like a shell's, in autocommit mode."""
    return sqlite3.connect(path, isolation_level=None, timeout=30, check_same_thread=False)


class FarSide:
    """A handler whose answers a test decides; it keeps what was sent, in order."""

    def __init__(self, answer: Callable[[Event, Attempt], Outcome] | None = None) -> None:
        self.answer = answer or (lambda _event, _attempt: Delivered("", 200))
        self.sent: list[int] = []
        self.events: list[Event] = []
        self.open = 0
        self.most_open = 0
        self.closed = False
        self.delay_s = 0.0
        self.gate: asyncio.Event | None = None
        """While set and not raised, attempts hang."""
        self.held: Callable[[Event], bool] = lambda _event: True
        """Which events hang at the gate."""
        self.screened: Callable[[Event], Skipped | None] = lambda _event: None

    def screen(self, event: Event) -> Skipped | None:
        return self.screened(event)

    async def deliver(self, event: Event, attempt: Attempt) -> Outcome:
        self.sent.append(event.i_event)
        self.events.append(event)
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            if self.gate is not None and self.held(event):
                await self.gate.wait()
            await asyncio.sleep(self.delay_s)
            return self.answer(event, attempt)
        finally:
            self.open -= 1

    async def close(self) -> None:
        assert self.open == 0, "closed with attempts under way"
        self.closed = True


class PacedSettings(HandlerSettings):
    """Options with a token bucket and a time limit for batches, which only some types have."""

    rate: float | None = None
    burst: int = 1
    max_wait: float = float("inf")
    model_config = ConfigDict(allow_inf_nan=True)

    @property
    def token_rate(self) -> float | None:
        return self.rate

    @property
    def token_burst(self) -> int:
        return self.burst

    @property
    def max_wait_s(self) -> float:
        return self.max_wait


def instance_row(name: str = "one") -> InstanceRow:
    """An instance as it tells of itself; its token is its name."""
    return InstanceRow(name, name, "here", 1, None, "0", START_US, START_US, "[]", "{}")


def starter(
    far_sides: dict[str, Handler], settings: dict[str, HandlerSettings] | None = None
) -> Callable[[HandlerRow, Callable[[], bool]], tuple[Handler, HandlerSettings]]:
    """What `Instance` asks to start a handler with: the far side of that name."""

    def start(row: HandlerRow, _may_send: Callable[[], bool]) -> tuple[Handler, HandlerSettings]:
        found = (settings or {}).get(row.name)
        return far_sides[row.name], found or PacedSettings.model_validate(row.options)

    return start


def statuses(connection: sqlite3.Connection, i_handler: int) -> dict[int, list[str]]:
    """Status of each attempt row of a handler, oldest first, by event."""
    found: dict[int, list[str]] = {}
    rows = connection.execute(
        "SELECT i_event, status FROM attempt WHERE i_handler = ? ORDER BY i_attempt", (i_handler,)
    )
    for i_event, status in rows:
        found.setdefault(i_event, []).append(status)
    return found
