"""Commits results: attempt rows, parked rows and cursors of all handlers in one transaction.

A result is stored at most about 20 ms after its answer, so a crash repeats little; between two
settlements the settler leaves the writer alone for a moment, so that others get their turn.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from espf.clock import Clock
from espf.engine.meters import Meters
from espf.engine.patience import until_stored
from espf.engine.results import Contribution, contribute
from espf.engine.runner import Runner
from espf.errors import LeaseLost, StorageError, StorageRefused
from espf.eventlog.model import Settlement
from espf.eventlog.port import EventLog

GATHER_S = 0.003
"""Time to gather results after the first, and to let other writers in: at least 2 ms."""
GATHER_UNDER_LOAD_S = 0.01
"""The same when many results come: a commit costs much the same for few rows and for many."""
MANY = 50


class Settler:
    """The one writer of results on this instance."""

    def __init__(
        self,
        log: EventLog,
        clock: Clock,
        instance: str,
        runners: Callable[[], Iterable[Runner]],
        lanes_lost: Callable[[int], None],
        meters: Meters,
    ) -> None:
        """`lanes_lost` is told the key of a handler whose lanes another owner took."""
        self._log = log
        self._clock = clock
        self._instance = instance
        self._runners = runners
        self._lanes_lost = lanes_lost
        self._meters = meters
        self._waiting = asyncio.Event()
        self._settling = asyncio.Lock()
        self._gather_s = GATHER_S

    def results_waiting(self) -> None:
        """A runner has something to commit."""
        self._waiting.set()

    async def run(self) -> None:
        """Settle for ever; cancel to end, then `flush`."""
        while True:
            await self._waiting.wait()
            await asyncio.sleep(self._gather_s)
            self._waiting.clear()
            await self.flush()

    async def alone(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do something while no result is on its way to the database."""
        async with self._settling:
            await work()

    async def flush(self) -> None:
        """Commit what waits now and let its followers go."""
        async with self._settling:
            settlement = Settlement(self._instance, self._clock.now_us())
            parts = [contribute(runner, settlement) for runner in self._runners()]
            many = len(settlement.attempts) >= MANY
            self._gather_s = GATHER_UNDER_LOAD_S if many else GATHER_S
            # Cancelled only when all memory is dropped, so commit and release cannot part.
            if settlement:
                began_s = self._clock.monotonic()
                parts = await self._stored(settlement, parts)
                counts = {part.runner.row.i_handler: part.runner.flow.counts for part in parts}
                self._meters.settled(settlement.attempts, counts, self._clock.monotonic() - began_s)
            for part in parts:
                part.committed()

    async def _stored(
        self, settlement: Settlement, parts: list[Contribution]
    ) -> list[Contribution]:
        """Store it; returns the parts that were, without those of handlers whose lanes are lost."""
        try:
            await until_stored("settling", lambda: self._store(settlement, parts))
        except (LeaseLost, StorageRefused):
            return [part for part in parts if await self._stored_alone(settlement, part)]
        return parts

    async def _stored_alone(self, settlement: Settlement, part: Contribution) -> bool:
        row = part.runner.row
        own = settlement.of(row.i_handler)  # the same each time: the log may ask what became of it
        try:
            await until_stored("settling", lambda: self._store(own, [part]))
        except LeaseLost as error:
            part.runner.flow.log.warning("lease.lost", error=str(error))
        except StorageRefused:
            # Ours is the mistake, and it must not keep the other handlers from their results.
            part.runner.flow.log.exception("settlement.refused")
        else:
            return True
        self._lanes_lost(row.i_handler)
        return False

    async def _store(self, settlement: Settlement, parts: list[Contribution]) -> None:
        try:
            await self._log.settle(settlement)
        except StorageError:
            # What is sent while nothing can be recorded would be sent again after a crash.
            for part in parts:
                part.runner.flow.stalled = True
            raise
        for part in parts:
            if part.runner.flow.stalled:
                part.runner.flow.stalled = False
                part.runner.go_on()
