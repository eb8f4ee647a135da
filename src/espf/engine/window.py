"""The events of one handler that are in memory: order per entity, and how far lanes are settled.

Pure bookkeeping: no clock, no I/O. Everything here can be lost; a restart reads it again from the
log. An item is `open` from the moment it is read until its result is committed.
"""

from collections import deque
from collections.abc import Collection, Iterable, Iterator

from espf.eventlog.model import EntityKey, LaneLease, LanePosition, ParkedEvent
from espf.events.model import Event
from espf.handlers.port import Iteration, Outcome, Skipped


class Item:
    """One event on its way through one handler."""

    __slots__ = (
        "attempts",
        "checked",
        "coalesced",
        "counted",
        "done",
        "duration_us",
        "event",
        "first_attempt_us",
        "from_parked",
        "gone",
        "iteration",
        "key",
        "outcome",
        "parked",
        "probe",
        "probes",
        "started_us",
        "stopped_base_us",
    )

    def __init__(self, event: Event, iteration: Iteration) -> None:
        self.event = event
        self.key: EntityKey = (event.entity, event.entity_id)
        self.iteration = iteration
        self.attempts = 0
        self.probes = 0
        self.coalesced = 0
        self.first_attempt_us: int | None = None
        self.stopped_base_us = 0
        self.from_parked = False
        """It was read from the parked rows; its lane's cursor has passed it."""
        self.parked = False
        """A parked row stands for it: the cursor need not wait for it."""
        self.checked = False
        """It was found a moment ago that no later event replaces it."""
        self.counted = False
        """It no longer counts as unsent in its iteration."""
        self.done = False
        self.gone = False
        """Its lane was given up while it was under way: nothing of it is recorded here."""
        self.probe = False
        self.started_us = 0
        self.duration_us = 0
        self.outcome: Outcome | Skipped | None = None

    @classmethod
    def of_parked(cls, row: ParkedEvent, iteration: Iteration) -> "Item":
        """An item for a parked event, with what its earlier attempts left."""
        item = cls(row.event, iteration)
        item.attempts = row.attempts
        item.probes = row.probes
        item.coalesced = row.coalesced
        item.first_attempt_us = row.first_attempt_us
        item.stopped_base_us = row.stopped_base_us
        item.from_parked = True
        item.parked = True
        return item


class Window:
    """Open items by lane and by entity.

    Of an entity's open items only the first may be sent; the others wait in its chain until the
    first is committed, so a crash never yields e1, e2, e1, e2.
    """

    def __init__(self, leases: Iterable[LaneLease] = ()) -> None:
        self._leases: dict[int, LaneLease] = {}
        self._stored: dict[int, int] = {}
        self._read: dict[int, int] = {}
        """How far each lane is read, if `read_to` is behind it: a lane taken later sets it back."""
        self._limits: dict[int, int] = {}
        """Lanes that are being given back: nothing is read any more, and the cursor stays here."""
        self._lanes: dict[int, deque[Item]] = {}
        # Most entities have one open item: only those with more get a queue.
        self._first: dict[EntityKey, Item] = {}
        self._rest: dict[EntityKey, deque[Item]] = {}
        self.read_to = 0
        self.open = 0
        self.add_lanes(leases)

    @property
    def leases(self) -> list[LaneLease]:
        """Every lane of ours, those that are being given back included."""
        return list(self._leases.values())

    def add_lanes(self, leases: Iterable[LaneLease]) -> None:
        """Take lanes; reading goes back to the lowest of them, for them alone."""
        added = list(leases)
        lowest = min((lease.position for lease in added), default=self.read_to)
        if not self._leases:
            self.read_to = lowest
        elif lowest < self.read_to:
            for lane, read in self._read.items():
                self._read[lane] = max(read, self.read_to)
            self.read_to = lowest
        for lease in added:
            self._leases[lease.lane] = lease
            self._stored[lease.lane] = self._read[lease.lane] = lease.position
            self._lanes[lease.lane] = deque()

    def start_leaving(self, lanes: Iterable[int]) -> list[Item]:
        """Read no more of these lanes; returns their items, which the caller drops if unsent."""
        for lane in lanes:
            self._limits[lane] = self._read_so_far(lane)
        return [item for item in self.items() if item.event.lane in self._limits]

    @property
    def own(self) -> list[int]:
        """Lanes of which events may be sent."""
        return [lane for lane in self._leases if lane not in self._limits]

    def is_leaving(self, lane: int) -> bool:
        """Whether the lane is being given back: nothing more of it is sent."""
        return lane in self._limits

    def open_in(self, lanes: Collection[int]) -> list[Item]:
        """Items of these lanes that are not through."""
        return [item for item in self.items() if item.event.lane in lanes]

    def drop(self, item: Item) -> None:
        """Forget an item that was not sent and has no row: its lane's next owner reads it again."""
        lane = item.event.lane
        if not item.parked:
            self._lanes[lane].remove(item)
            self._limits[lane] = min(self._limits[lane], item.event.i_event - 1)
        item.gone = True
        self.release(item)

    def remove_lanes(self, lanes: Iterable[int]) -> list[LaneLease]:
        """Give up lanes without open items; returns their leases."""
        given_up = [self._leases.pop(lane) for lane in lanes if lane in self._leases]
        for lease in given_up:
            del self._stored[lease.lane], self._read[lease.lane], self._lanes[lease.lane]
            self._limits.pop(lease.lane, None)
        return given_up

    def lanes_to_read(self, upto: int) -> list[int]:
        """Lanes of which events up to `upto` are wanted."""
        return [
            lane for lane, read in self._read.items() if read < upto and lane not in self._limits
        ]

    def _read_so_far(self, lane: int) -> int:
        return max(self.read_to, self._read[lane])

    @property
    def lag(self) -> int:
        """How far reading is ahead of the lowest cursor, in event numbers."""
        return self.read_to - min(self._stored.values(), default=self.read_to)

    def owns(self, event: Event) -> bool:
        """Whether the event lies in a lane of ours and was not read before."""
        lane = event.lane
        return event.i_event > self._read.get(lane, event.i_event) and lane not in self._limits

    def add(self, item: Item) -> bool:
        """Take an event just read; True if it may be sent now, False if it waits for another."""
        self._lanes[item.event.lane].append(item)
        self.open += 1
        return self._join(item)

    def add_parked(self, item: Item) -> bool:
        """Take an event from the parked rows; False (and not taken) while its entity is busy.

        One beyond what is read, which an operator had sent again, may have others before it; and
        its lane may have been given up since it was looked for.
        """
        event = item.event
        if event.lane not in self._leases or event.lane in self._limits:
            return False
        if item.key in self._first or event.i_event > self._read_so_far(event.lane):
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

    def holds_back(self, key: EntityKey) -> bool:
        """Whether the entity's first item is one that is sent before any that wait behind it.

        A parked row must not be made for those: after a crash it would overtake the first.
        """
        first = self._first.get(key)
        return first is not None and not (first.parked or isinstance(first.outcome, Skipped))

    def waiting(self, key: EntityKey) -> list[Item]:
        """The entity's items behind its first one, in order."""
        return list(self._rest.get(key, ()))

    def release(self, item: Item) -> Item | None:
        """Let go of a committed item; returns the entity's next one if this was its first."""
        self.open -= 1
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

    def positions(self, i_handler: int, touched: Iterable[int]) -> list[LanePosition]:
        """Cursors after this settlement: those that move, and those of the touched lanes.

        The touched ones are there even if they stand still, so that the fence guards every row.
        """
        must = set(touched)
        moved = []
        for lane, items in self._lanes.items():
            while items and (items[0].done or items[0].parked):
                items.popleft()
            position = items[0].event.i_event - 1 if items else self._read_so_far(lane)
            position = max(min(position, self._limits.get(lane, position)), self._stored[lane])
            if position != self._stored[lane] or lane in must:
                self._stored[lane] = position
                moved.append(LanePosition(i_handler, lane, position, self._leases[lane].fence))
        return moved

    def oldest(self) -> Item | None:
        """The oldest open item that holds its lane's cursor back."""
        heads = [head for items in self._lanes.values() if (head := _first_open(items))]
        return min(heads, key=lambda item: item.event.i_event, default=None)

    def items(self) -> Iterator[Item]:
        """Every open item, an entity's in its order."""
        for key, first in self._first.items():
            yield first
            yield from self._rest.get(key, ())


def _first_open(items: deque[Item]) -> Item | None:
    return next((item for item in items if not (item.done or item.parked)), None)
