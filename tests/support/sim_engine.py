"""The real engine on a real SQLite file in virtual time, for tests that tell one story each.

Import it as `sim_engine`.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random

from beside_engine import BesideEngine
from engine_rig import (
    START_US,
    FarSide,
    PacedSettings,
    append_events,
    handler_change,
    instance_row,
    make_database,
    open_plain,
    statuses,
)
from espf.clock import Clock
from espf.engine.instance import Instance
from espf.engine.runner import Runner
from espf.errors import HandlerError, LeaseLost, StorageError
from espf.eventlog.model import HandlerRow, ParkedMoment, Settlement, Standing
from espf.eventlog.operating.operations import SessionOperations
from espf.eventlog.operations import HandlerChange
from espf.eventlog.sqlite.log import SqliteEventLog
from espf.eventlog.sqlite.session import SqliteSession
from espf.events.model import Event
from espf.handlers.port import Attempt, Handler, Outcome, RetryLater
from espf.handlers.settings import HandlerSettings
from sim_loop import SimLoop, SimTime

BUSY = RetryLater("", "busy", 503)
REFUSED = RetryLater("", "connection refused", refused=True)
QUICK = {"Retry.FirstDelay": 0.5, "Retry.MaxDelay": 2, "Retry.Jitter": 0, "Concurrency": 4}


class FlakyLog(SqliteEventLog):
    """The log of a disk that fails as often as a test says."""

    settle_fails = 0
    lanes_lost = 0
    """How often another instance has the lanes of one of the handlers."""
    poll_fails = 0
    shifts_unheard = 0
    """How often times are moved, and nobody hears of it."""
    settlements = 0

    def __init__(self, path: Path, clock: Clock) -> None:
        super().__init__(path, clock)
        self.asked: list[Settlement] = []

    async def settle(self, settlement: Settlement) -> None:
        self.asked.append(settlement)
        if self.lanes_lost > 0:
            self.lanes_lost -= 1
            raise LeaseLost("another one has the lanes")
        if self.settle_fails > 0:
            self.settle_fails -= 1
            raise StorageError("the disk is full")
        await super().settle(settlement)
        self.settlements += 1

    async def shift_clock(self, i_handler: int, by_us: int, seen: Sequence[ParkedMoment]) -> None:
        await super().shift_clock(i_handler, by_us, seen)
        if self.shifts_unheard > 0:
            self.shifts_unheard -= 1
            raise StorageError("the connection was lost")

    async def poll(self) -> Standing | None:
        if self.poll_fails > 0:
            self.poll_fails -= 1
            raise StorageError("the disk cannot be read")
        return await super().poll()


class SimEngine(BesideEngine):
    """A database with handlers, an engine on it, and a far side for each handler."""

    def __init__(self, folder: Path, *changes: HandlerChange, grace_s: float = 1.0) -> None:
        self.path = make_database(folder / "espf.sqlite3")
        self.time = SimTime(START_US)
        self._shell = open_plain(self.path)
        self._operations = SessionOperations(SqliteSession(self.path), self.time)
        self._operations.apply(changes or [handler_change(**QUICK)])
        self.rows = {row.name: row for row in self._operations.handlers()}
        self.far = {name: FarSide() for name in self.rows}
        self.unusable: set[str] = set()
        """Names of the handlers that cannot be started."""
        self.grace_s = grace_s
        self.start()

    def start(self) -> None:
        self.loop = SimLoop(self.time, Random(1))
        asyncio.set_event_loop(self.loop)
        self.log = FlakyLog(self.path, self.time)
        self.log._writer.connection.execute("PRAGMA synchronous=OFF")
        self.instance = Instance(
            instance_row(), self.log, self.time, self._start, grace_s=self.grace_s, random=Random(1)
        )
        self.stop = asyncio.Event()
        self.task = self.loop.create_task(self.instance.run(self.stop))

    def _start(
        self, row: HandlerRow, _may_send: Callable[[], bool]
    ) -> tuple[Handler, HandlerSettings]:
        if row.name in self.unusable:
            raise HandlerError("a file of it is missing")
        return self.far[row.name], PacedSettings.model_validate(row.options)

    def append(self, *pairs: tuple[int, str]) -> list[int]:
        return append_events(self.shell, pairs)

    def run_for(self, seconds: float) -> None:
        """Let virtual time pass."""
        self.loop.run_until_complete(asyncio.sleep(seconds))
        if self.task.done():
            self.task.result()
            raise AssertionError("the engine ended by itself")

    def run_until(self, holds: Callable[[], bool], within_s: float = 30.0) -> float:
        """Let time pass until something holds; returns how long it took."""
        began = self.time.now_s
        while not holds():
            assert self.time.now_s - began < within_s, "it never came to hold"
            self.run_for(0.005)
        return self.time.now_s - began

    def stop_gracefully(self, within_s: float = 30.0) -> float:
        """Stop as SIGTERM does; returns how long it took."""
        began = self.time.now_s
        self.stop.set()
        self.loop.run_until_complete(asyncio.wait_for(self.task, within_s))
        return self.time.now_s - began

    def crash(self) -> None:
        """Lose everything in memory."""
        self.loop.crash()
        for connection in (self.log._poll, self.log._reader, self.log._writer.connection):
            connection.close()

    def runner(self, name: str = "hss") -> Runner:
        return self.instance._runners[self.rows[name].i_handler]

    def statuses(self, name: str = "hss") -> dict[int, list[str]]:
        return statuses(self.shell, self.rows[name].i_handler)

    def parked(self) -> list[int]:
        return [n for (n,) in self.shell.execute("SELECT i_event FROM parked ORDER BY i_event")]

    def close(self) -> None:
        if not self.loop.is_closed():
            self.crash()
        self._operations.close()
        self._shell.close()


@contextmanager
def sim_engine(folder: Path, *changes: HandlerChange, grace_s: float = 1.0) -> Iterator[SimEngine]:
    """An engine that is running, on a fresh database."""
    made = SimEngine(folder, *changes, grace_s=grace_s)
    try:
        made.run_for(0.05)
        yield made
    finally:
        made.close()


def ever(outcome: Outcome) -> Callable[[Event, Attempt], Outcome]:
    """A far side that always answers the same."""

    def answer(_event: Event, _attempt: Attempt) -> Outcome:
        return outcome

    return answer


def with_gate(engine: SimEngine, held: Callable[[Event], bool] = lambda _event: True) -> None:
    """Have these events hang until the gate is raised."""
    engine.far["hss"].gate = asyncio.Event()
    engine.far["hss"].held = held
