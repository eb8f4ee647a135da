"""The events of one handler that are in memory: order per entity, and how far lanes are settled.

Pure bookkeeping: no clock, no I/O. Everything here can be lost; a restart reads it again from the
log. An item is `open` from the moment it is read until its result is committed.
"""

from collections import deque
from collections.abc import Collection, Container, Iterable, Iterator

from espf.engine.item import Item
from espf.engine.track import Track
from espf.eventlog.model import BULK_FROM, EntityKey, LaneLease, LanePosition
from espf.handlers.port import Skipped

BULK_STEP = 8192
"""The cursors of bulk lanes with nothing in them are moved when they are this far behind."""
IDLE_STEP = 512
"""The same while nothing is open at all."""


class Window:
    """Open items by lane and by entity.

    Of an entity's open items only the first may be sent; the others wait in its chain until the
    first is committed, so a crash never yields e1, e2, e1, e2. Ordinary and bulk lanes are read
    each on a track of its own; an entity's chain is one.
    """

    def __init__(self, leases: Iterable[LaneLease] = ()) -> None:
        self.ordinary = Track()
        self.bulk = Track()
        self._leases: dict[int, LaneLease] = {}
        # Most entities have one open item: only those with more get a queue.
        self._first: dict[EntityKey, Item] = {}
        self._rest: dict[EntityKey, deque[Item]] = {}
        self.open = 0
        self._waiters = 0
        """Items that are to be parked behind bulk events."""
        self.parked_waiters = True
        """Whether such are parked; not known when lanes are taken."""
        self.add_lanes(leases)

    def track_of(self, lane: int) -> Track:
        """The track that the lane is on."""
        return self.bulk if lane >= BULK_FROM else self.ordinary

    @property
    def leases(self) -> list[LaneLease]:
        """Every lane of ours, those that are being given back included."""
        return list(self._leases.values())

    def add_lanes(self, leases: Iterable[LaneLease]) -> None:
        """Take lanes; reading goes back to the lowest of them, for them alone."""
        added = {lease.lane: lease for lease in leases}
        self.ordinary.add([lease for lease in added.values() if lease.lane < BULK_FROM])
        self.bulk.add([lease for lease in added.values() if lease.lane >= BULK_FROM])
        self._leases |= added

    def start_leaving(self, lanes: Iterable[int]) -> None:
        """Read no more of these lanes."""
        for lane in lanes:
            self.track_of(lane).start_leaving([lane])

    @property
    def own(self) -> list[int]:
        """Lanes of which events may be sent."""
        return self.ordinary.own + self.bulk.own

    def is_leaving(self, lane: int) -> bool:
        """Whether the lane is being given back: nothing more of it is sent."""
        return self.track_of(lane).is_leaving(lane)

    def open_in(self, lanes: Collection[int]) -> list[Item]:
        """Items of these lanes that are not through."""
        return [item for item in self.items() if item.event.lane in lanes]

    def drop(self, item: Item) -> None:
        """Forget an item that was not sent and has no row: its lane's next owner reads it again."""
        if not item.parked:
            self.track_of(item.event.lane).drop(item)
        item.gone = True
        self.release(item)

    def remove_lanes(self, lanes: Iterable[int]) -> list[LaneLease]:
        """Give up lanes without open items; returns their leases."""
        given_up = [self._leases.pop(lane) for lane in lanes if lane in self._leases]
        for lease in given_up:
            self.track_of(lease.lane).remove(lease.lane)
        return given_up

    @property
    def bulk_waited_for(self) -> bool:
        """Whether there may be events that wait for the cursors of bulk lanes to pass them."""
        return self.parked_waiters or self._waiters > 0

    def add(self, item: Item) -> bool:
        """Take an event just read; True if it may be sent now, False if it waits for another."""
        self.track_of(item.event.lane).append(item)
        self.open += 1
        self._waiters += item.behind_bulk
        return self._join(item)

    def add_parked(self, item: Item) -> bool:
        """Take an event from the parked rows; False (and not taken) while its entity is busy.

        One beyond what is read, which an operator had sent again, may have others before it; and
        its lane may have been given up since it was looked for.
        """
        event = item.event
        track = self.track_of(event.lane)
        if not track.has(event.lane):
            return False
        if item.key in self._first or event.i_event > track.read_so_far(event.lane):
            return False
        self.open += 1
        return self._join(item)

    def _join(self, item: Item) -> bool:
        if self._first.setdefault(item.key, item) is item:
            return True
        rest = self._rest.get(item.key)
        if rest is None:
            rest = self._rest[item.key] = deque()
        rest.append(item)
        return False

    def is_first(self, item: Item) -> bool:
        """Whether the item is the one of its entity that may be sent, or is being sent."""
        return self._first.get(item.key) is item

    def holds_back(self, key: EntityKey, parking: Container[Item]) -> bool:
        """Whether the entity's first item is one that is sent before any that wait behind it.

        A parked row must not be made for those: after a crash it would overtake the first.
        `parking`: those that the next settlement parks.
        """
        first = self._first.get(key)
        return first is not None and not (
            first.parked or first in parking or isinstance(first.outcome, Skipped)
        )

    def waits_for_bulk(self, key: EntityKey, before: int) -> bool:
        """Whether one before that number is about to be parked behind bulk events."""
        first = self._first.get(key)
        return first is not None and any(
            item.behind_bulk and item.event.i_event < before
            for item in (first, *self._rest.get(key, ()))
        )

    def waiting(self, key: EntityKey) -> list[Item]:
        """The entity's items behind its first one, in order."""
        return list(self._rest.get(key, ()))

    def release(self, item: Item) -> Item | None:
        """Let go of a committed item; returns the entity's next one if this was its first."""
        self.open -= 1
        if item.behind_bulk:
            self._waiters -= 1
            self.parked_waiters = True
        key = item.key
        rest = self._rest.get(key)
        if rest is None:
            del self._first[key]
            return None
        if self._first[key] is item:
            following = self._first[key] = rest.popleft()
        else:
            following = None
            rest.remove(item)
        if not rest:
            del self._rest[key]
        return following

    @property
    def is_behind(self) -> bool:
        """Whether cursors are to be moved though nothing is settled just now."""
        if self.bulk_waited_for and (self.ordinary.lag > 0 or self.bulk.lag > 0):
            return True
        return not self.open and (self.ordinary.lag > 0 or self.bulk.lag >= self.bulk_step)

    @property
    def bulk_step(self) -> int:
        """How far the cursors of bulk lanes with nothing in them may stay behind."""
        if self.bulk_waited_for:
            return 1
        return BULK_STEP if self.open else IDLE_STEP

    def positions(self, i_handler: int, touched: Iterable[int]) -> list[LanePosition]:
        """Cursors after this settlement: those that move, and those of the touched lanes."""
        must = set(touched)
        moved = self.ordinary.positions(must)
        least = self.bulk_step
        if self.bulk.lag >= least or max(must, default=0) >= BULK_FROM:
            moved += self.bulk.positions(must, least)
        return [
            LanePosition(i_handler, lane, position, self._leases[lane].fence)
            for lane, position in moved
        ]

    def items(self) -> Iterator[Item]:
        """Every open item, an entity's in its order."""
        for key, first in self._first.items():
            yield first
            yield from self._rest.get(key, ())
