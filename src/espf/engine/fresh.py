"""Reads events that were not read before: ordinary ones, and bulk ones when those are through."""

from collections.abc import Collection, Sequence

from espf.engine.flow import Flow
from espf.engine.item import Item
from espf.engine.ready import IN_A_ROW
from espf.engine.track import Track
from espf.eventlog.model import Batch, LaneLease
from espf.eventlog.port import EventLog
from espf.events.model import Event
from espf.handlers.port import Handler, Iteration, Skipped

HEAD_LIMIT = 4096
"""How far, in events, reading may run ahead of the lowest cursor."""
BATCH = 512
READY_LOW = 512
"""Read more when fewer than this many events wait to be sent."""


class FreshReader:
    """Takes a handler's lanes into its window, in the order of the log."""

    def __init__(self, flow: Flow, log: EventLog, handler: Handler) -> None:
        self._flow = flow
        self._log = log
        self._handler = handler
        self._i_handler = flow.row.i_handler
        self._already: frozenset[int] = frozenset()
        self._reads = 0

    async def add_lanes(self, leases: Sequence[LaneLease]) -> None:
        """Take lanes, and learn what of them is settled above their cursors: it is not sent again.

        Not while a read is under way: it would not have looked at these lanes.
        """
        window = self._flow.window
        settled = await self._log.settled_above(self._i_handler, leases)
        read_to = min(window.ordinary.read_to, window.bulk.read_to)
        self._already = settled | {i_event for i_event in self._already if i_event > read_to}
        window.add_lanes(leases)
        self._flow.lanes_moved()
        window.parked_waiters = True

    async def read(self) -> bool:
        """Read a batch, if there is one and room for it. Every eighth time bulk events go first."""
        self._reads += 1
        if self._reads % IN_A_ROW == 0 and await self._read_bulk():
            return True
        return await self._read_ordinary() or await self._read_bulk()

    async def _read_ordinary(self) -> bool:
        flow, track = self._flow, self._flow.window.ordinary
        if len(flow.ready.ordinary) >= READY_LOW or track.read_to >= flow.horizon:
            return False
        room = HEAD_LIMIT - max(track.lag, flow.window.open)
        if room <= 0:
            self._pass_oldest(track)
            return False
        upto = min(flow.horizon, track.read_to + HEAD_LIMIT)
        bulk_after = flow.window.bulk.read_to
        flow.lately.begin()
        try:
            batch = await self._log.read(
                self._i_handler,
                track.read_to,
                upto,
                min(BATCH, room),
                track.lanes_to_read(upto),
                bulk_after=bulk_after,
            )
            behind_bulk = await self._behind_bulk(batch)
        finally:
            flow.lately.reading = False
        self._take_in(batch, batch.events, track, behind_bulk)
        track.read_to = batch.read_to
        return True

    async def _behind_bulk(self, batch: Batch) -> frozenset[int]:
        if not (batch.bulk_ahead and batch.events):
            return frozenset()
        bulk = self._flow.window.bulk
        after = {lane: bulk.read_so_far(lane) for lane in bulk.stored}
        return await self._log.behind_bulk(self._i_handler, batch.events, after)

    async def _read_bulk(self) -> bool:
        """Only up to where ordinary events are read: one before a bulk event has its place then."""
        flow, track = self._flow, self._flow.window.bulk
        upto = flow.window.ordinary.read_to
        if len(flow.ready.bulk) >= READY_LOW or track.read_to >= upto:
            return False
        oldest = track.oldest()
        lowest = oldest.event.i_event if oldest is not None else None
        room = HEAD_LIMIT - flow.window.open
        if room <= 0 or (lowest is not None and track.read_to >= lowest + HEAD_LIMIT):
            self._pass_oldest(track)
            return False
        flow.lately.begin()
        try:
            batch = await self._log.read_bulk(
                self._i_handler,
                track.read_to,
                upto,
                min(BATCH, room),
                track.lanes_to_read(upto),
            )
        finally:
            flow.lately.reading = False
        # Few may lie among very many others: numbers bound how far it is read, as elsewhere.
        if batch.events:
            lowest = batch.events[0].i_event if lowest is None else lowest
            end = min(batch.read_to, lowest + HEAD_LIMIT)
        else:
            end = batch.read_to
        events = [event for event in batch.events if event.i_event <= end]
        self._take_in(batch, events, track, frozenset())
        track.read_to = end
        return bool(events)

    def _take_in(
        self, batch: Batch, events: list[Event], track: Track, behind_bulk: Collection[int]
    ) -> None:
        flow = self._flow
        iteration = Iteration(len(events), flow.held_up)
        for event in events:
            if track.owns(event) and not (
                event.i_event in self._already or event.i_event in batch.already_parked
            ):
                item = Item(event, iteration)
                item.behind_bulk = event.i_event in behind_bulk
                self._take(item, batch)
            else:
                flow.count_down(iteration)
        flow.counts.events_read += len(events)

    def _take(self, item: Item, batch: Batch) -> None:
        flow = self._flow
        goes_behind = self._goes_behind(item, batch)
        may_send = flow.window.add(item)
        skip = batch.skips.get(item.event.i_event)
        skipped = self._handler.screen(item.event) if skip is None else Skipped(skip)
        if skipped is not None:
            flow.skip(item, skipped)
        elif goes_behind:
            flow.park_later(item)
        elif may_send:
            flow.ready.append(item)

    def _goes_behind(self, item: Item, batch: Batch) -> bool:
        """Whether the event is to be parked, behind what is or in front of what was sent again."""
        flow, key, number = self._flow, item.key, item.event.i_event
        if item.behind_bulk:
            return True
        if flow.window.bulk_waited_for:
            waiters = (batch.parked.get(key), flow.lately.waiters.get(key))
            if any(waiter is not None and waiter < number for waiter in waiters):
                return True
            if flow.window.waits_for_bulk(key, number):
                return True
        parked = key in batch.parked or key in flow.lately.parked
        return parked and not flow.window.holds_back(key, flow.behind)

    def _pass_oldest(self, track: Track) -> None:
        """One slow answer must not hold its lane: park it as in progress, its followers behind."""
        flow = self._flow
        oldest = track.oldest()
        if oldest is not None and oldest.started_us and not (oldest.probe and flow.breaker.is_open):
            flow.park_later(oldest)
            flow.park_waiting([oldest.key])
        flow.results_waiting()
