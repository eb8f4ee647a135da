"""Takes ready events to the handler: workers, token bucket, coalescing."""

import asyncio
from collections import deque
from collections.abc import Collection

from espf.engine.bucket import SLICE_S, Bucket
from espf.engine.flow import Flow
from espf.engine.item import Item
from espf.engine.patience import until_stored
from espf.eventlog.model import EntityKey, TokensGiven, TokenWish
from espf.eventlog.port import EventLog
from espf.events.catalogue import coalescing_types
from espf.handlers.port import Attempt, Delivered, Handler, Rejected, RetryLater, Skipped, Unknown

MAX_SKIPS_IN_A_ROW = 10
REFILL_AT = 256
"""The feeder is woken when fewer than this many events wait."""
MAX_INHERITED = 4096


class Sender:
    """At most `settings.in_flight` workers, made when needed, each with one event at a time."""

    def __init__(
        self, flow: Flow, log: EventLog, handler: Handler, group: asyncio.TaskGroup
    ) -> None:
        self._flow = flow
        self._log = log
        self._handler = handler
        self._group = group
        self._limit = flow.settings.in_flight
        rate = flow.settings.token_rate
        burst, shared = flow.settings.token_burst, not log.exclusive
        self._bucket = None if rate is None else Bucket(rate, burst, shared=shared)
        if self._bucket is not None:
            flow.held_up = self._held_up
        self._tokens_wanted = asyncio.Event()
        self._telling = False
        self._idle: deque[asyncio.Future[None]] = deque()
        self._workers: list[asyncio.Task[None]] = []
        self._under_way: dict[asyncio.Task[None], Item] = {}
        """What each worker is at: asking for a successor, or delivering."""
        self._coalescing = coalescing_types()
        self._inherited: dict[tuple[EntityKey, str], Item] = {}

    def wake(self) -> None:
        """There is something to send: set idle workers to it, make more if there are too few."""
        flow = self._flow
        if flow.stopping or flow.lost:
            return  # the group may have ended, and takes no more tasks
        wanted = len(flow.ready) + (flow.probe is not None)
        while wanted > 0 and self._idle:
            waiter = self._idle.popleft()
            if not waiter.done():
                waiter.set_result(None)
                wanted -= 1
        while wanted > 0 and len(self._workers) < self._limit:
            self._workers.append(self._group.create_task(self._work()))
            wanted -= 1

    def cancel(self, lanes: Collection[int] | None = None) -> None:
        """Give up what is under way, in these lanes or in all; it is tried again."""
        for worker in list(self._workers):
            item = self._under_way.get(worker)
            if lanes is None or (item is not None and item.event.lane in lanes):
                worker.cancel()
                self._workers.remove(worker)
                self._under_way.pop(worker, None)

    async def _work(self) -> None:
        flow = self._flow
        myself = asyncio.current_task()
        assert myself is not None
        while True:
            item = self._next_item()
            if item is None:
                waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._idle.append(waiter)
                await waiter
                continue
            self._under_way[myself] = item
            if item.checked or item.event.event_type not in self._coalescing:
                await self._deliver(item)
            elif not await self._superseded(item):
                flow.put_back_checked(item)
            self._under_way.pop(myself, None)

    def _next_item(self) -> Item | None:
        flow = self._flow
        probe = flow.probe
        if flow.stopping or flow.paused or flow.stalled or not flow.may_send():
            return None
        queue = flow.ready.next_queue
        if probe is None and (flow.breaker.is_open or not queue):
            return None
        if self._bucket is not None and not self._may_leave(probe or queue[0]):
            self._tokens_wanted.set()
            return None
        if probe is not None:
            flow.probe = None
            return probe
        item = queue.popleft()
        flow.ready.taken(item)
        if len(queue) == REFILL_AT:
            flow.fed.set()
        return item

    def _may_leave(self, item: Item) -> bool:
        """Take a token for the item, unless it is only to be looked at: it may be replaced."""
        bucket = self._bucket
        looked_at = not item.checked and item.event.event_type in self._coalescing
        if looked_at or bucket is None:
            return True
        took = bucket.take(self._flow.clock.monotonic())
        if bucket.owes_word:
            self._tell_soon()
        return took

    async def _deliver(self, item: Item) -> None:
        flow, clock = self._flow, self._flow.clock
        item.started_us = clock.now_us()
        if item.first_attempt_us is None:
            item.first_attempt_us = item.started_us
            item.stopped_base_us = flow.state.stopped_total_us(item.started_us)
        item.attempts += 1
        began_s = clock.monotonic()
        flow.left(item)
        flow.in_flight += 1
        try:
            item.outcome = await self._handler.deliver(
                item.event, Attempt(item.attempts, item.iteration)
            )
        except Exception as error:
            flow.log.exception("attempt.broken", i_event=item.event.i_event, attempt=item.attempts)
            item.outcome = Unknown(
                "", f"the handler failed with {type(error).__name__}; see the log"
            )
        finally:
            flow.in_flight -= 1
            if flow.stopping:
                flow.answer.set()
        item.duration_us = int((clock.monotonic() - began_s) * 1_000_000)
        if item.gone:
            return  # a handler that would not be cancelled: another instance tries it again
        self._note(item)
        flow.finished.append(item)
        flow.results_waiting()

    def _note(self, item: Item) -> None:
        match item.outcome:
            case Delivered() | Rejected():
                self._flow.answered()
            case RetryLater(reason=reason, refused=refused):
                self._flow.failed(item, reason, refused=refused)
            case Unknown(reason=reason):
                self._flow.failed(item, reason, refused=False)
            case _:
                pass

    async def draw_tokens(self) -> None:
        """Draw from the stored bucket while there is something to send."""
        bucket, flow = self._bucket, self._flow
        given = TokensGiven(0, 0)
        while bucket is not None:
            await self._tokens_wanted.wait()
            self._tokens_wanted.clear()
            self._telling = False
            asked_s = flow.clock.monotonic()
            # What no worker comes to use before it is stale would be kept from other instances.
            usable = max(0, self._limit - flow.in_flight) + bucket.soon(asked_s)
            wish = bucket.wish(min(len(flow.ready) + 1, usable), asked_s)
            if wish.wanted > 0 or wish.returned or wish.late:
                given = await self._draw(wish)
                bucket.put(given, asked_s, flow.clock.monotonic())
                self.wake()  # a token is for now
            if wish.wanted <= 0 or given.tokens < wish.wanted:
                wait_s = bucket.wait_s(flow.clock.monotonic())
                flow.counts.token_wait_s += wait_s
                await asyncio.sleep(wait_s)
            self.wake()

    def _held_up(self, by_s: float) -> None:
        assert self._bucket is not None
        self._bucket.held_up(self._flow.clock.monotonic(), by_s)
        self._tell_soon()

    def _tell_soon(self) -> None:
        """Others have a second's time to learn what was used late."""
        if not self._telling:
            self._telling = True
            asyncio.get_running_loop().call_later(SLICE_S, self._tokens_wanted.set)

    async def _draw(self, wish: TokenWish) -> TokensGiven:
        i_handler, clock = self._flow.row.i_handler, self._flow.clock
        return await until_stored(
            "drawing tokens", lambda: self._log.draw_tokens(i_handler, wish, clock.now_us())
        )

    async def _superseded(self, item: Item) -> bool:
        """Skip an event that a later one of its type and entity replaces (domain, 1)."""
        flow = self._flow
        inherited = self._inherited.pop((item.key, item.event.event_type), None)
        if inherited is not None:
            item.coalesced = inherited.coalesced + 1
            if item.first_attempt_us is None:
                item.first_attempt_us = inherited.first_attempt_us
                item.stopped_base_us = inherited.stopped_base_us
        if item.coalesced >= MAX_SKIPS_IN_A_ROW:
            item.coalesced = 0
            return False
        successor = await until_stored(
            "looking for a later event", lambda: self._log.successor(item.event, flow.horizon)
        )
        if successor is None or item.gone:
            return False
        if len(self._inherited) >= MAX_INHERITED:
            # Left by events whose successor was skipped by hand; the oldest is the likeliest.
            del self._inherited[next(iter(self._inherited))]
        self._inherited[item.key, item.event.event_type] = item
        if item.probe:
            flow.breaker.probe_unused()
            flow.fed.set()
        flow.skip(item, Skipped(f"superseded by event {successor}"))
        return True
