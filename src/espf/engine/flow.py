"""What one running handler has in memory, between reading an event and committing its result.

The feeder fills `ready`; the sender's workers take from it and leave results in `finished`; the
settler commits those and lets followers go. All on one event loop, so nothing here needs a lock.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

import structlog

from espf.clock import Clock
from espf.engine.breaker import Breaker
from espf.engine.window import Item, Window
from espf.eventlog.model import EntityKey, HandlerRow, HandlerState, LaneLease
from espf.handlers.port import Iteration, Skipped
from espf.handlers.settings import HandlerSettings

_log = structlog.get_logger("espf.engine")


class Flow:
    """Events of one handler on their way, and whether they may leave at all."""

    def __init__(
        self,
        row: HandlerRow,
        settings: HandlerSettings,
        *,
        instance: str,
        clock: Clock,
        results_waiting: Callable[[], None],
    ) -> None:
        self.row = row
        self.instance = instance
        self.settings = settings
        self.clock = clock
        self.results_waiting = results_waiting
        self.window = Window(())
        self.ready: deque[Item] = deque()
        """May be sent now, in this order; no two of one entity."""
        self.finished: list[Item] = []
        """Have an outcome that is not committed."""
        self.behind: dict[Item, None] = {}
        """To be parked: behind an earlier one of their entity, or because they hold their lane."""
        self.open_parked: set[int] = set()
        """`i_event` of the parked events that are in memory."""
        self.parked_lately: set[EntityKey] = set()
        """Entities parked since the read under way began: its snapshot does not show them."""
        self.reading = False
        """A read of the lanes is under way."""
        self.skip_asked: dict[int, str] = {}
        """What operators asked to skip, as last read: i_event → reason."""
        self.probe: Item | None = None
        """The one event that may be sent although the breaker is open."""
        self.breaker = Breaker(settings.breaker_failures, settings.breaker_probe_interval_s)
        self.state = HandlerState()
        self.state_changed = False
        self.release_since_us: int | None = None
        """An outage is over: what parked since then is due now."""
        self.paused = row.paused
        self.stopping = False
        self.stalled = False
        """The database takes no results: nothing is sent until it does."""
        self.in_flight = 0
        self.horizon = 0
        self.look_for_due = True
        self.answer = asyncio.Event()
        """Set at each answer while the handler is stopping."""
        self.fed = asyncio.Event()
        """Wakes the feeder."""

    def restore(self, leases: Iterable[LaneLease], state: HandlerState) -> None:
        """Take up where the last owner of the lanes stopped."""
        self.window = Window(leases)
        self.state = state
        if state.breaker == "open":
            self.breaker.restore(since_us=state.since_us, reason=state.reason)
        self.note_stop()

    # ---- items ----

    def let_go(self, settled: Iterable[Item], parked: Iterable[Item]) -> None:
        """The items leave memory, their results committed; the next of each entity may go.

        Where a parked row was made or settled, others of the entity may be parked as well: what
        follows in memory goes behind them, or it would be sent before them.
        """
        barred: set[EntityKey] = set()
        following: list[Item] = []
        for item in (*parked, *settled):
            self.open_parked.discard(item.event.i_event)
            if item.parked:
                barred.add(item.key)
            promoted = self.window.release(item)
            if promoted is not None:
                following.append(promoted)
        for item in following:
            if item.key in barred:
                self.park_later(item)
            elif self._untouched(item):
                self.ready.append(item)
        self.park_waiting(barred)

    def park_waiting(self, keys: Iterable[EntityKey]) -> None:
        """Have what waits behind these entities' first items parked."""
        for key in keys:
            for item in self.window.waiting(key):
                self.park_later(item)

    def park_later(self, item: Item) -> None:
        """Have the next settlement park an event that was not sent, or that holds its lane."""
        if self._untouched(item):
            self.behind[item] = None
            self.results_waiting()

    def _untouched(self, item: Item) -> bool:
        return not item.parked and item.outcome is None and item not in self.behind

    def skip(self, item: Item, skipped: Skipped) -> None:
        """The event ends without being sent."""
        item.outcome = skipped
        self.left(item)
        self.finished.append(item)
        self.results_waiting()

    def put_first(self, item: Item) -> None:
        """An event that was taken, or probed in vain, and is not parked: it keeps its place."""
        item.outcome = None
        item.probe = False
        item.started_us = 0
        reason = self.skip_asked.get(item.event.i_event)
        if reason is None:
            self.ready.appendleft(item)
        else:
            self.skip(item, Skipped(reason))

    def put_back_checked(self, item: Item) -> None:
        """No later event replaces this one: it may be sent when its turn comes again."""
        item.checked = True
        if item.probe and self.breaker.is_open and self.probe is None:
            self.probe = item
        else:
            self.put_first(item)

    def put_parked_back(self) -> None:
        """Forget parked events that were not sent: an operator may skip or release them."""
        waiting = [item for item in self.ready if item.from_parked]
        if not waiting:
            return
        self.ready = deque(item for item in self.ready if not item.from_parked)
        for item in waiting:
            self.left(item)
        self.let_go((), waiting)
        self.look_for_due = True

    def left(self, item: Item) -> None:
        """The event was sent, or will not be sent in this batch."""
        if not item.counted:
            item.counted = True
            self.count_down(item.iteration)

    def count_down(self, iteration: Iteration) -> None:
        """One event less to send in this batch; the last one starts the batch's time limit."""
        iteration.unsent -= 1
        if iteration.unsent <= 0:
            iteration.ends_at = self.clock.monotonic() + self.settings.max_wait_s

    async def all_answered(self) -> None:
        """Wait until nothing is in flight. The caller bounds the wait."""
        while self.in_flight:
            self.answer.clear()
            await self.answer.wait()

    # ---- pause and breaker ----

    def set_paused(self, paused: bool) -> None:
        """An operator paused or resumed the handler."""
        self.paused = paused
        for item in self.ready:
            item.checked = False
        self.note_stop()
        self.fed.set()

    def answered(self) -> None:
        """The far side answered an attempt, if only to refuse the event."""
        outage_since_us = self.breaker.since_us
        if self.breaker.succeeded():
            self.release_since_us = outage_since_us or 0
            self._breaker_moved("breaker.closed")

    def failed(self, item: Item, reason: str, *, refused: bool) -> None:
        """An attempt got no usable answer."""
        if self.breaker.failed(item.key, item.started_us, reason, refused=refused):
            self._breaker_moved("breaker.opened", reason=reason)

    def _breaker_moved(self, what: str, **context: str) -> None:
        _log.warning(what, handler=self.row.name, **context)
        self.note_stop()
        self.fed.set()

    def note_stop(self) -> None:
        """Keep the stopped time in step with pause and breaker; the next settlement stores it."""
        now_us = self.clock.now_us()
        stopped = self.paused or self.breaker.is_open
        since_us = self.state.stopped_since_us
        self.state = HandlerState(
            breaker=self.breaker.state,
            since_us=self.breaker.since_us if self.breaker.is_open else None,
            reason=self.breaker.reason,
            stopped_us=self.state.stopped_us if stopped else self.state.stopped_total_us(now_us),
            stopped_since_us=(now_us if since_us is None else since_us) if stopped else None,
        )
        self.state_changed = True
        self.results_waiting()
