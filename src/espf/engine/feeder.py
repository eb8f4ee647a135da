"""Reads a handler's events from the log into memory: fresh ones, due ones, and probes."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from espf.engine.flow import Flow
from espf.engine.fresh import BATCH, READY_LOW, FreshReader
from espf.engine.item import Item
from espf.engine.patience import until_stored
from espf.errors import StorageError
from espf.eventlog.model import LaneLease
from espf.eventlog.port import EventLog
from espf.handlers.port import Handler, Iteration, Skipped

RELEASE_S = 0.05
"""Between two looks for events that need wait for bulk events no longer."""


class Feeder:
    """Keeps `flow.ready` filled while the handler may send, and within HEAD_LIMIT."""

    def __init__(self, flow: Flow, log: EventLog, handler: Handler) -> None:
        self._flow = flow
        self._log = log
        self._fresh = FreshReader(flow, log, handler)
        self._i_handler = flow.row.i_handler
        self._next_due_us: int | None = None
        self._released_s = -math.inf
        self._release_after = 0
        self._waiters_left = False
        self._turn = asyncio.Lock()

    async def add_lanes(self, leases: Sequence[LaneLease]) -> None:
        """Take lanes, when no read is under way."""
        async with self._turn:
            await self._fresh.add_lanes(leases)
        self._flow.look_for_due = True
        self._flow.fed.set()

    def clock_jumped(self) -> None:
        """Due times have moved."""
        self._next_due_us = None
        self._flow.look_for_due = True
        self._flow.fed.set()

    async def step(self) -> bool:
        """Read what may be read now; False if there was nothing, and a nap is due."""
        async with self._turn:
            return await until_stored("reading", self._fill)

    async def nap(self) -> None:
        """Wait until something moved, something parked is due, or a probe is."""
        flow = self._flow
        try:
            async with asyncio.timeout(self._nap_s()):
                await flow.fed.wait()
        except TimeoutError:
            if flow.window.is_behind:
                flow.results_waiting()

    def _nap_s(self) -> float:
        breaker, now_s = self._flow.breaker, self._flow.clock.monotonic()
        if breaker.is_open:
            return min(0.1, max(0.005, breaker.next_probe_s - now_s))
        most_s = RELEASE_S if self._flow.window.bulk_waited_for else 1.0
        if self._next_due_us is None:
            return most_s
        return min(most_s, max(0.005, (self._next_due_us - self._flow.clock.now_us()) / 1_000_000))

    async def _fill(self) -> bool:
        flow = self._flow
        if not flow.window.own:
            return False
        if flow.paused:
            flow.put_parked_back()
            return False
        if flow.breaker.is_open:
            flow.put_parked_back()
            await self._choose_probe()
            return False
        await self._release_behind_bulk()
        due = await self._fill_due()
        return await self._fresh.read() or due

    async def _release_behind_bulk(self) -> None:
        """A portion now and then, from first to last; then it is known whether any is left."""
        flow, window, now_s = self._flow, self._flow.window, self._flow.clock.monotonic()
        if not window.bulk_waited_for or now_s - self._released_s < RELEASE_S:
            return
        self._released_s = now_s
        if not self._release_after:
            self._waiters_left = False
            window.parked_waiters = False  # one that is parked meanwhile says so
        left = True
        try:
            found = await self._log.release_behind_bulk(
                self._i_handler, window.own, self._release_after, flow.clock.now_us()
            )
            self._release_after = found.last or 0
            self._waiters_left = self._waiters_left or found.left > 0
            left = self._waiters_left or found.last is not None
        finally:
            window.parked_waiters = window.parked_waiters or left
        flow.look_for_due = flow.look_for_due or found.released > 0

    async def _fill_due(self) -> bool:
        flow = self._flow
        now_us = flow.clock.now_us()
        arrived = self._next_due_us is not None and now_us >= self._next_due_us
        if not (flow.look_for_due or arrived) or len(flow.ready) >= READY_LOW:
            return False
        if not flow.wall.fits:  # the instance is about to notice, and to say that times have moved
            return False
        flow.look_for_due = False
        try:
            found = await self._log.due(
                self._i_handler, now_us, BATCH, flow.open_parked, flow.window.own, early=False
            )
        except StorageError:
            flow.look_for_due = True
            raise
        flow.look_for_due = flow.look_for_due or len(found.events) == BATCH
        self._next_due_us = found.next_due_us
        iteration = Iteration(len(found.events), flow.held_up)
        taken = [
            self._take_parked(Item.of_parked(row, iteration), found.skips.get(row.event.i_event))
            for row in found.events
        ]
        if not all(taken):
            # The entity is busy with an event that is about to be settled: look again then.
            self._next_due_us = now_us
        return any(taken)

    def _take_parked(self, item: Item, skip: str | None = None) -> bool:
        flow = self._flow
        if item.event.i_event in flow.open_parked or not flow.window.add_parked(item):
            flow.left(item)
            return False
        flow.open_parked.add(item.event.i_event)
        if skip is None:
            flow.ready.append(item)
        else:
            flow.skip(item, Skipped(skip))
        return True

    # ---- probes ----

    async def _choose_probe(self) -> None:
        flow, breaker = self._flow, self._flow.breaker
        now_s = flow.clock.monotonic()
        if flow.probe is not None or not breaker.probe_due(now_s):
            return
        if not flow.ready:
            await self._read_for_probe()
        if not flow.ready or not await self._claim():
            return
        item = next((item for item in flow.ready if breaker.may_probe(item.key)), None)
        if item is None:
            breaker.forget_probes()
            item = flow.ready.first
        flow.ready.remove(item)
        item.probe = True
        breaker.probe_sent(item.key, now_s)
        flow.probe = item

    async def _claim(self) -> bool:
        """One probe at a time for the fleet: whoever moves its number first has it."""
        flow = self._flow
        if await self._log.claim_probe(self._i_handler, flow.state.probe):
            flow.state = replace(flow.state, probe=flow.state.probe + 1)
            return bool(flow.ready)
        await flow.learn(partial(self._log.state, self._i_handler))
        flow.breaker.probed_elsewhere(flow.clock.monotonic())
        return False

    async def _read_for_probe(self) -> None:
        """Nothing is at hand: take a parked event, due or not, or else the next in the lanes."""
        flow = self._flow
        found = await self._log.due(
            self._i_handler, flow.clock.now_us(), 64, flow.open_parked, flow.window.own, early=True
        )
        fresh_first = sorted(
            found.events,
            key=lambda row: not flow.breaker.may_probe((row.event.entity, row.event.entity_id)),
        )
        for row in fresh_first:
            if self._take_parked(Item.of_parked(row, Iteration(1, flow.held_up))):
                return
        await self._fresh.read()
