"""One running handler on this instance, from taking its lanes to giving them back."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from random import Random

import structlog

from espf.engine.feeder import Feeder
from espf.engine.flow import Flow
from espf.engine.patience import until_stored
from espf.engine.retry import RetryPolicy
from espf.engine.sender import Sender
from espf.engine.window import Window
from espf.eventlog.model import HandlerRow, LaneLease
from espf.eventlog.port import EventLog
from espf.handlers.port import Handler, Skipped

EMPTY_POLL_S = 0.02


class Runner:
    """Feeder and sender of one handler, joined by their flow."""

    def __init__(self, flow: Flow, handler: Handler, log: EventLog, random: Random) -> None:
        self.flow = flow
        self.handler = handler
        self.policy = RetryPolicy.of(flow.settings)
        self.random = random
        self._log = log
        self._feeder = Feeder(flow, log, handler)
        self._sender: Sender | None = None
        self._stopping = asyncio.Event()
        self._joining: set[int] = set()
        """Lanes that are ours, and not in the window yet."""

    @property
    def row(self) -> HandlerRow:
        """The handler as stored when it was started."""
        return self.flow.row

    async def prepare(self) -> None:
        """Learn how the handler is doing; it sends nothing before it has lanes."""
        await self.follow_state()

    async def follow_state(self) -> None:
        """The breaker may have moved, here or on another instance."""
        await self.flow.learn(partial(self._log.state, self.row.i_handler))
        self.go_on()

    async def add_lanes(self, leases: Sequence[LaneLease]) -> None:
        """Take up where the last owner of these lanes stopped."""
        lanes = {lease.lane for lease in leases}
        self._joining |= lanes
        try:
            await self._feeder.add_lanes(leases)
        finally:
            self._joining -= lanes

    async def empty_lanes(
        self, lanes: Collection[int], grace_s: float, flush: Callable[[], Awaitable[None]]
    ) -> list[LaneLease]:
        """Give up lanes: what is under way may end within the grace period, nothing more is sent.

        Returns their leases, to be given back.
        """
        flow, clock = self.flow, self.flow.clock
        flow.leave(lanes)
        flow.lanes_moved()
        self.go_on()
        ends_s = clock.monotonic() + grace_s
        while flow.window.open_in(lanes) and clock.monotonic() < ends_s:  # noqa: ASYNC110 - rare
            await asyncio.sleep(EMPTY_POLL_S)
        if flow.window.open_in(lanes) and self._sender is not None:
            self._sender.cancel(lanes)
            await asyncio.sleep(0)
        await flush()
        flow.forget(flow.window.open_in(lanes))
        return flow.window.remove_lanes(lanes)

    async def run(self, grace_s: float) -> None:
        """Deliver until `stop`, then finish what is in flight within `grace_s` seconds."""
        structlog.contextvars.bind_contextvars(handler=self.row.name)  # of this task and its own
        async with asyncio.TaskGroup() as group:
            self._sender = Sender(self.flow, self._log, self.handler, group)
            tasks = [
                group.create_task(self._feed(self._sender)),
                group.create_task(self._sender.draw_tokens()),
            ]
            await self._stopping.wait()
            for task in tasks:
                task.cancel()
            await self._finish(grace_s)
            self._sender.cancel()

    async def _feed(self, sender: Sender) -> None:
        while True:
            self.flow.fed.clear()
            moved = await self._feeder.step()
            sender.wake()
            if not moved:
                await self._feeder.nap()

    async def _finish(self, grace_s: float) -> None:
        flow = self.flow
        try:
            async with asyncio.timeout(grace_s):
                await flow.all_answered()
        except TimeoutError:
            flow.log.warning("handler.stopped_in_flight", open=flow.in_flight)

    async def clock_jumped(self, by_us: int, since_us: int) -> None:
        """Nothing is due earlier or later, nor given up, because somebody set the clock.

        What was noted since `since_us` was so by the new clock. However long the database is away,
        each time is moved once.
        """
        i_handler, now_us, after = self.row.i_handler, self.flow.clock.now_us(), 0
        lanes = self._joining | {lease.lane for lease in self.flow.window.leases}
        asked = partial(self._log.parked_moments, i_handler, lanes)
        while seen := await until_stored("moving times", partial(asked, after, since_us, now_us)):
            moved = partial(self._log.shift_clock, i_handler, by_us, seen)
            await until_stored("moving times", moved)
            after = seen[-1].i_event
        self.flow.clock_jumped(by_us, since_us)
        self._feeder.clock_jumped()

    def drop_results(self) -> None:
        """The lanes are another's: nothing of this runner is stored any more."""
        self.flow.finished.clear()
        self.flow.behind.clear()
        self.flow.window = Window()
        self.flow.breaker_moved = False
        self.flow.release_since_us = None

    def stop(self) -> None:
        """Send nothing more; `run` ends when what is in flight is answered."""
        self.flow.stopping = True
        self._stopping.set()

    def log_moved(self, horizon: int) -> None:
        """There may be events up to `horizon`."""
        self.flow.horizon = horizon
        self.flow.fed.set()

    def go_on(self) -> None:
        """Something was committed: its followers may be sent, and there is room to read."""
        self.flow.fed.set()
        if self._sender is not None:
            self._sender.wake()

    async def operator_acted(self) -> None:
        """Parked events may be due, and events in memory that are not sent may be skipped."""
        flow, window = self.flow, self.flow.window
        tracks = (window.ordinary, window.bulk)
        asked = await self._log.skips(
            self.row.i_handler,
            min(track.read_to - track.lag for track in tracks),
            max(track.read_to for track in tracks),
        )
        flow.skip_asked = asked
        flow.put_parked_back()
        flow.look_for_due = True
        flow.fed.set()
        for item in list(window.items()):
            reason = asked.get(item.event.i_event)
            if reason is None or item.outcome is not None or item.parked:
                continue
            if item in flow.ready:
                flow.ready.remove(item)
            elif window.is_first(item):
                continue  # under way, and never recalled
            flow.skip(item, Skipped(reason))
