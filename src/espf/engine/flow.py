"""What one running handler has in memory, between reading an event and committing its result.

The feeder fills `ready`; the sender's workers take from it and leave results in `finished`; the
settler commits those and lets followers go. All on one event loop, so nothing here needs a lock.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass, field, replace

import structlog

from espf.clock import Clock
from espf.engine.breaker import Breaker
from espf.engine.item import Item
from espf.engine.ready import Ready
from espf.engine.wall import WallClock
from espf.engine.window import Window
from espf.eventlog.model import ALL_LANES, EntityKey, HandlerRow, HandlerState
from espf.handlers.port import Iteration, Skipped
from espf.handlers.settings import HandlerSettings
from espf.metrics.counts import HandlerCounts

_log = structlog.get_logger("espf.engine")


@dataclass(slots=True)
class Lease:
    """Until when this instance may believe that its lanes are its own (boot-time clock)."""

    ends_s: float = math.inf
    """Infinity where there can be no other instance."""


@dataclass(slots=True)
class Lately:
    """What was parked since the read under way began: its snapshot does not show it."""

    reading: bool = False
    """A read of the lanes is under way."""
    parked: set[EntityKey] = field(default_factory=set)
    waiters: dict[EntityKey, int] = field(default_factory=dict)
    """What waits for bulk events: the first of each entity."""

    def begin(self) -> None:
        """A read begins."""
        self.reading = True
        self.parked.clear()
        self.waiters.clear()

    def note(self, items: Iterable[Item]) -> None:
        """These were parked."""
        if not self.reading:
            return
        for item in items:
            self.parked.add(item.key)
            if item.behind_bulk:
                self.waiters.setdefault(item.key, item.event.i_event)


class Flow:
    """Events of one handler on their way, and whether they may leave at all."""

    def __init__(
        self,
        row: HandlerRow,
        settings: HandlerSettings,
        *,
        instance: str,
        clock: Clock,
        lease: Lease,
        wall: WallClock,
        results_waiting: Callable[[], None],
    ) -> None:
        self.row = row
        self.instance = instance
        self.lease = lease
        self.wall = wall
        self.settings = settings
        self.clock = clock
        self.results_waiting = results_waiting
        self.window = Window()
        self.ready = Ready()
        """May be sent now, in this order; no two of one entity."""
        self.finished: list[Item] = []
        """Have an outcome that is not committed."""
        self.behind: dict[Item, None] = {}
        """To be parked: behind an earlier one of their entity, or because they hold their lane."""
        self.open_parked: set[int] = set()
        """`i_event` of the parked events that are in memory."""
        self.lately = Lately()
        self.skip_asked: dict[int, str] = {}
        """What operators asked to skip, as last read: i_event → reason."""
        self.probe: Item | None = None
        """The one event that may be sent although the breaker is open."""
        self.breaker = Breaker(settings.breaker_failures, settings.breaker_probe_interval_s)
        self.state = HandlerState()
        self.breaker_moved = False
        """The breaker opened or closed here: the next settlement stores it."""
        self.breaker_storing = False
        """It is on its way to the database."""
        self.breaker_moves = 0
        """How often it moved here, or that was stored."""
        self.release_since_us: int | None = None
        """An outage is over: what parked since then is due now."""
        self.paused = row.paused
        self.stopping = False
        self.stalled = False
        """The database takes no results: nothing is sent until it does."""
        self.incomplete = settings.leased_whole
        """Some lanes are another's, and only who has all of them may send."""
        self.held_up: Callable[[float], None] = lambda _by_s: None
        """Told when a request leaves later than the sender took it, by how many seconds."""
        self.lost = False
        """Another has taken lanes: nothing more is sent, though the lease be renewed."""
        self.in_flight = 0
        self.counts = HandlerCounts()
        self.log = _log.bind(handler=row.name)
        self.horizon = 0
        self.look_for_due = True
        self.answer = asyncio.Event()
        """Set at each answer while the handler is stopping."""
        self.fed = asyncio.Event()
        """Wakes the feeder."""

    async def learn(self, stored: Callable[[], Awaitable[HandlerState]]) -> None:
        """Follow what is stored, which any instance may have changed, unless ours is newer.

        Ours is while it is about to be stored, and what was asked for before then is older.
        """
        moves = self.breaker_moves
        state = await stored()
        if moves == self.breaker_moves and not (self.breaker_moved or self.breaker_storing):
            self._follow(state)

    def _follow(self, state: HandlerState) -> None:
        moved, self.state = state.probe != self.state.probe, state
        if state.breaker == "open":
            if not self.breaker.is_open:
                self.breaker.restore(since_us=state.since_us, reason=state.reason)
            elif moved:
                self.breaker.probed_elsewhere(self.clock.monotonic())
        elif self.breaker.is_open:
            self.breaker.succeeded()
            self.look_for_due = True
        self.fed.set()

    def lanes_moved(self) -> None:
        """Lanes were taken or given up."""
        self.incomplete = self.settings.leased_whole and len(self.window.own) < ALL_LANES

    def may_send(self) -> bool:
        """Whether the lanes are ours for certain: asked before each request leaves."""
        if self.incomplete or self.lost:
            return False
        ends_s = self.lease.ends_s
        return ends_s == math.inf or self.clock.monotonic() < ends_s

    # ---- items ----

    def let_go(self, settled: Iterable[Item], parked: Iterable[Item]) -> None:
        """The items leave memory, their results committed; the next of each entity may go.

        Where a parked row was made or settled, others of the entity may be parked as well: what
        follows in memory goes behind them, or it would be sent before them.
        """
        barred: dict[EntityKey, int] = {}  # what follows after that number
        following: list[Item] = []
        for item in (*parked, *settled):
            self.open_parked.discard(item.event.i_event)
            if item.parked:
                after = item.event.i_event if item.behind_bulk else 0
                barred[item.key] = min(after, barred.get(item.key, after))
            promoted = self.window.release(item)
            if promoted is not None:
                following.append(promoted)
        for item in following:
            if self.window.is_leaving(item.event.lane):
                if self._untouched(item):
                    self._drop(item)
            elif item.event.i_event > barred.get(item.key, item.event.i_event):
                self.park_later(item)
            elif self._untouched(item):
                self.ready.append(item)
        for key, after in barred.items():
            self.park_waiting([key], after)

    def park_waiting(self, keys: Iterable[EntityKey], after: int = 0) -> None:
        """Have what waits behind these entities' first items, and after a number, parked."""
        for key in keys:
            for item in self.window.waiting(key):
                if item.event.i_event > after:
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
        if self.window.is_leaving(item.event.lane):
            self._drop(item)
            return
        reason = self.skip_asked.get(item.event.i_event)
        if reason is None:
            self.ready.put_first(item)
        else:
            self.skip(item, Skipped(reason))

    def leave(self, lanes: Collection[int]) -> None:
        """Send nothing more of these lanes, and forget what was not sent of them."""
        self.window.start_leaving(lanes)
        for item in self.ready.take_out(lambda item: item.event.lane in lanes):
            self._drop(item)
        if self.probe is not None and self.probe.event.lane in lanes:
            self._drop(self.probe)
            self.probe = None
            self.breaker.probe_unused()
        for item in self.window.open_in(lanes):
            if not self.window.is_first(item) and self._untouched(item):
                self.forget([item])

    def _drop(self, item: Item) -> None:
        """Forget an item that was not sent, and with it those behind it."""
        self.left(item)
        self.open_parked.discard(item.event.i_event)
        waiting = self.window.waiting(item.key)
        self.forget(follower for follower in waiting if follower.outcome is None)
        self.window.drop(item)

    def forget(self, items: Iterable[Item]) -> None:
        """What was under way in lanes given up: the next owner tries it again."""
        items = list(items)
        if any(item.outcome is not None for item in items):
            forgotten = set(items)
            self.finished = [item for item in self.finished if item not in forgotten]
        for item in items:
            self.left(item)
            self.behind.pop(item, None)
            self.open_parked.discard(item.event.i_event)
            self.window.drop(item)

    def put_back_checked(self, item: Item) -> None:
        """No later event replaces this one: it may be sent when its turn comes again."""
        item.checked = True
        if item.gone:
            return
        if self.window.is_leaving(item.event.lane):
            self._drop(item)
        elif item.probe and self.breaker.is_open and self.probe is None:
            self.probe = item
        else:
            self.put_first(item)

    def put_parked_back(self) -> None:
        """Forget parked events that were not sent: an operator may skip or release them."""
        waiting = self.ready.take_out(lambda item: item.from_parked)
        if not waiting:
            return
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

    def clock_jumped(self, by_us: int, since_us: int) -> None:
        """The wall clock was set: what is in memory keeps its distance to now."""
        now_us = self.clock.now_us()

        def is_old(noted_us: int | None) -> bool:
            return bool(noted_us) and not since_us <= (noted_us or 0) <= now_us

        for item in self.window.items():
            if item.first_attempt_us is not None and is_old(item.first_attempt_us):
                item.first_attempt_us += by_us
            if is_old(item.started_us):
                item.started_us += by_us
        if self.breaker.since_us is not None:
            self.breaker.since_us += by_us
        self.look_for_due = True
        self.fed.set()

    # ---- pause and breaker ----

    def set_paused(self, paused: bool) -> None:
        """An operator paused or resumed the handler."""
        self.paused = paused
        for item in self.ready:
            item.checked = False
        self.fed.set()

    def answered(self) -> None:
        """The far side answered an attempt, if only to refuse the event."""
        outage_since_us = self.breaker.since_us
        if self.breaker.succeeded():
            self.release_since_us = outage_since_us or 0
            self.log.warning("breaker.closed")
            self._move_breaker()

    def failed(self, item: Item, reason: str, *, refused: bool) -> None:
        """An attempt got no usable answer."""
        if self.breaker.failed(item.key, item.started_us, reason, refused=refused):
            self.log.warning("breaker.opened", reason=reason)
            self._move_breaker()

    def _move_breaker(self) -> None:
        self.breaker_moved = True
        self.breaker_moves += 1
        now_us = self.clock.now_us()
        if self.breaker.is_open:
            self.state = replace(self.state, stopped_since_us=self.state.stopped_since_us or now_us)
        elif not self.paused:
            stopped_us = self.state.stopped_total_us(now_us)
            self.state = replace(self.state, stopped_us=stopped_us, stopped_since_us=None)
        self.fed.set()
        self.results_waiting()
