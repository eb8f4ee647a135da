"""The model of the queue: what must be delivered, and what may be sent when.

Import it as `queue_world`.
"""

import asyncio
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

from beside_engine import BesideEngine
from engine_rig import (
    COALESCED,
    FOREIGN,
    OTHER,
    PLAIN,
    START_US,
    PacedSettings,
    append_events,
    entity_of,
    handler_change,
    instance_row,
    make_database,
    open_plain,
)
from espf.engine.instance import Instance
from espf.errors import StorageError
from espf.eventlog.model import HandlerRow, Settlement
from espf.eventlog.operating.operations import SessionOperations
from espf.eventlog.sqlite.log import SqliteEventLog
from espf.eventlog.sqlite.session import SqliteSession
from espf.events.model import Event
from espf.handlers.port import (
    Attempt,
    Delivered,
    Handler,
    Outcome,
    Rejected,
    RetryLater,
    Skipped,
    Unknown,
)
from espf.handlers.settings import HandlerSettings
from sim_loop import SimLoop, SimTime

SCREENED = "Account/Deleted"
TYPES = (PLAIN, OTHER, COALESCED, SCREENED)
ENTITIES = (1, 65, 2, 3, 4, 5, 6)
HANDLERS = ("fast", "paced")
PLAIN_OPTIONS = {
    "Concurrency": 3,
    "Retry.FirstDelay": 0.5,
    "Retry.MaxDelay": 2,
    "Breaker.Failures": 6,
    "Breaker.ProbeInterval": 0.5,
}
OPTIONS = {
    "fast": PLAIN_OPTIONS,
    "paced": {**PLAIN_OPTIONS, "Concurrency": 2, "Retry.MaxAttempts": 4, "rate": 40, "burst": 40},
}
MOODS = ("delivers", "rejects", "asks to wait", "refuses", "unknown", "raises", "hangs")
HANG_S = 3.0


class FlakyLog(SqliteEventLog):
    """The log of a disk that fails now and then."""

    failures = 0

    async def settle(self, settlement: Settlement) -> None:
        if self.failures > 0:
            self.failures -= 1
            raise StorageError("the disk is full")
        await super().settle(settlement)

    async def due(self, *args, **named):  # type: ignore[no-untyped-def]
        if self.failures > 0:
            self.failures -= 1
            raise StorageError("the disk cannot be read")
        return await super().due(*args, **named)

    def drop(self) -> None:
        for connection in (self._poll, self._reader, self._writer.connection):
            connection.close()


class Far:
    """The far side of one handler; at each send it checks what must hold just then."""

    def __init__(self, world: "World", row: HandlerRow) -> None:
        self.world = world
        self.row = row
        self.under_way: set[tuple[str, int]] = set()

    def screen(self, event: Event) -> Skipped | None:
        return Skipped("not allowed") if event.event_type == SCREENED else None

    async def deliver(self, event: Event, _attempt: Attempt) -> Outcome:
        world = self.world
        key = (event.entity, event.entity_id)
        world.check(key not in self.under_way, f"two of {key} under way")
        world.check_send(self.row, event)
        self.under_way.add(key)
        try:
            mood = world.mood_of(self.row.name, event)
            await asyncio.sleep(world.latency_s)
            if mood == "hangs":
                await self._hang(event)
                return Unknown("", "no answer in time")
            return answer(mood)
        finally:
            self.under_way.discard(key)

    async def _hang(self, event: Event) -> None:
        """Until the mood is another, at most HANG_S."""
        until = self.world.time.now_s + HANG_S
        while self.world.time.now_s < until:
            await asyncio.sleep(0.1)
            if self.world.mood_of(self.row.name, event) != "hangs":
                return

    async def close(self) -> None:
        self.world.check(not self.under_way, "closed with attempts under way")


def answer(mood: str) -> Outcome:
    match mood:
        case "delivers":
            return Delivered("", 200)
        case "rejects":
            return Rejected("", "no such subscriber", 400)
        case "asks to wait":
            return RetryLater("", "busy", 503, retry_after_s=1.0)
        case "refuses":
            return RetryLater("", "connection refused", refused=True)
        case "unknown":
            return Unknown("", "no answer in time")
        case _:
            raise ValueError("a bug of the handler")


class World(BesideEngine):
    """The database, the engine that runs on it (or not, after a crash), and the model."""

    def __init__(self, seed: int) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.path = make_database(Path(self.folder.name) / "espf.sqlite3")
        self.random = Random(seed)
        self.time = SimTime(START_US)
        self._shell = open_plain(self.path)
        self._shell.execute("PRAGMA synchronous=OFF")
        self._operations = SessionOperations(SqliteSession(self.path), self.time)
        self._operations._session.connection.execute("PRAGMA synchronous=OFF")
        self._operations.apply([handler_change(name, TYPES, **OPTIONS[name]) for name in HANDLERS])
        self.rows = {row.name: row for row in self._operations.handlers()}
        self.moods: dict[str, str] = dict.fromkeys(HANDLERS, "delivers")
        self.bad: dict[tuple[str, int], str] = {}
        self.latency_s = 0.01
        self.events: list[tuple[int, int, str]] = []
        self.excused: set[tuple[int, int]] = set()
        self.by_hand: Counter[tuple[int, int]] = Counter()
        self.wrong: list[str] = []
        self.start()

    # ---- the engine ----

    def start(self) -> None:
        self.loop = SimLoop(self.time, self.random)
        asyncio.set_event_loop(self.loop)
        self.log = FlakyLog(self.path, self.time)
        self.log._writer.connection.execute("PRAGMA synchronous=OFF")
        self.instance = Instance(
            instance_row(), self.log, self.time, self._far_side, grace_s=1.0, random=self.random
        )
        self.stop = asyncio.Event()
        self.task = self.loop.create_task(self.instance.run(self.stop))

    def _far_side(
        self, row: HandlerRow, _may_send: Callable[[], bool]
    ) -> tuple[Handler, HandlerSettings]:
        return Far(self, row), PacedSettings.model_validate(row.options)

    def run_for(self, seconds: float) -> None:
        self.loop.run_until_complete(asyncio.sleep(seconds))
        if self.task.done():
            self.task.result()
            raise AssertionError("the engine ended by itself")
        assert not self.wrong, self.wrong

    def crash(self) -> None:
        self.loop.crash()
        self.log.drop()

    def stop_gracefully(self) -> None:
        self.log.failures = 0
        self.stop.set()
        self.loop.run_until_complete(asyncio.wait_for(self.task, 10))
        self.loop.run_until_complete(self.log.close())
        self.loop.crash()

    def end(self) -> None:
        if not self.loop.is_closed():
            self.crash()
        self._operations.close()
        self._shell.close()
        self.folder.cleanup()

    # ---- the model ----

    def check(self, holds: bool, what: str) -> None:
        if not holds:
            self.wrong.append(f"{self.time.now_s - 1000:.3f} s: {what}")

    def mood_of(self, handler: str, event: Event) -> str:
        return self.bad.get((handler, event.entity_id), self.moods[handler])

    def append(self, pairs: list[tuple[int, str]], *, bulk: bool = False) -> None:
        numbers = append_events(self.shell, pairs, bulk=bulk)
        for number, (entity_id, event_type) in zip(numbers, pairs, strict=True):
            if event_type != FOREIGN:
                self.events.append((number, entity_id, event_type))

    def ended(self, i_handler: int, i_event: int) -> int:
        return self.shell.execute(
            "SELECT count(*) FROM attempt WHERE i_handler = ? AND i_event = ?"
            " AND status IN ('finished', 'failed', 'skipped')",
            (i_handler, i_event),
        ).fetchone()[0]

    def check_send(self, row: HandlerRow, event: Event) -> None:
        key = (row.i_handler, event.i_event)
        self.check(
            self.ended(*key) <= self.by_hand[key],
            f"{row.name}: event {event.i_event} sent again though its result was committed",
        )
        for number, entity_id, event_type in self.events:
            same = (entity_of(event_type), entity_id) == (event.entity, event.entity_id)
            if not same or number >= event.i_event or (row.i_handler, number) in self.excused:
                continue
            self.check(
                self.ended(row.i_handler, number) > 0,
                f"{row.name}: event {event.i_event} sent before {number} was settled",
            )

    def open_pairs(self) -> list[tuple[str, int]]:
        return [
            (row.name, number)
            for row in self.rows.values()
            for number, _, _ in self.events
            if (row.i_handler, number) not in self.excused and not self.ended(row.i_handler, number)
        ]

    def drain(self) -> None:
        """The far side is well again, for good: everything must end, and soon."""
        self.moods = dict.fromkeys(HANDLERS, "delivers")
        self.bad.clear()
        self.log.failures = 0
        for name in HANDLERS:
            self.operations.set_paused(name, False)
            self.enable(name)
        for _ in range(60):
            self.run_for(1.0)
            if not self.open_pairs() and not self._parked():
                break
        self.check(not self._parked(), f"still parked: {self._parked()}")
        self.check(not self.open_pairs(), f"never ended: {self.open_pairs()}")
        assert not self.wrong, self.wrong
        self.run_for(2.5)
        self._check_the_end()

    def _parked(self) -> list[tuple[object, ...]]:
        return self.shell.execute(
            "SELECT i_handler, i_event, entity, entity_id, attempts, in_progress, due_us"
            " FROM parked"
        ).fetchall()

    def _check_the_end(self) -> None:
        for row in self.rows.values():
            for number, _, _ in self.events:
                key = (row.i_handler, number)
                most = 1 + self.by_hand[key]
                self.check(self.ended(*key) <= most, f"{key} ended {self.ended(*key)} times")
        last = self.shell.execute("SELECT coalesce(max(i_event), 0) FROM event").fetchone()[0]
        ordinary = "SELECT min(position) FROM lane_cursor WHERE lane < 64"
        lowest = self.shell.execute(ordinary).fetchone()[0]
        self.check(lowest == last, f"a cursor stands at {lowest}, the log ends at {last}")
        left = self.shell.execute(
            "SELECT e.i_event FROM event AS e JOIN lane_cursor AS c ON c.lane = e.lane + 64"
            " JOIN subscription AS s USING (i_handler, event_type)"
            " WHERE e.bulk = 1 AND e.i_event > c.position"
        ).fetchall()
        self.check(not left, f"cursors stand before bulk events {left}")
        for runner in self.instance._runners.values():
            flow = runner.flow
            held = (flow.window.open, len(flow.ready), len(flow.open_parked), flow.in_flight)
            self.check(held == (0, 0, 0, 0), f"left in memory: {held}")
        assert not self.wrong, self.wrong

    # ---- operators ----

    def enable(self, name: str) -> None:
        row = self.rows[name]
        if self.operations.set_enabled(name, True) and not row.keep_events:
            self.excused |= {(row.i_handler, number) for number, _, _ in self.events}

    def note_by_hand(self, name: str, i_event: int) -> None:
        self.by_hand[self.rows[name].i_handler, i_event] += 1
