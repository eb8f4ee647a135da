"""How far the lanes of one kind, ordinary or bulk, are read and settled.

Pure bookkeeping, like the window whose part it is. A lane is named by its number as leased: a bulk
lane is 64 above the ordinary one of the same entities.
"""

from collections import deque
from collections.abc import Collection, Iterable

from espf.engine.item import Item
from espf.eventlog.model import LaneLease
from espf.events.model import Event


class Track:
    """Open items by lane, and positions. The cursor of a lane stands before its first open item."""

    def __init__(self) -> None:
        self.read_to = 0
        self.stored: dict[int, int] = {}
        """The cursors as the database has them."""
        self._read: dict[int, int] = {}
        """How far each lane is read, if `read_to` is behind it: a lane taken later sets it back."""
        self._limits: dict[int, int] = {}
        """Lanes that are being given back: nothing is read any more, and the cursor stays here."""
        self._lanes: dict[int, deque[Item]] = {}

    def add(self, leases: Collection[LaneLease]) -> None:
        """Take lanes; reading goes back to the lowest of them, for them alone."""
        lowest = min((lease.position for lease in leases), default=self.read_to)
        if not self.stored:
            self.read_to = lowest
        elif lowest < self.read_to:
            for lane, read in self._read.items():
                self._read[lane] = max(read, self.read_to)
            self.read_to = lowest
        for lease in leases:
            self.stored[lease.lane] = self._read[lease.lane] = lease.position
            self._lanes[lease.lane] = deque()

    def start_leaving(self, lanes: Iterable[int]) -> None:
        """Read no more of these lanes."""
        for lane in lanes:
            self._limits[lane] = self.read_so_far(lane)

    def remove(self, lane: int) -> None:
        """Give a lane up that has no open items."""
        del self.stored[lane], self._read[lane], self._lanes[lane]
        self._limits.pop(lane, None)

    @property
    def own(self) -> list[int]:
        """Lanes of which events may be sent."""
        return [lane for lane in self.stored if lane not in self._limits]

    def is_leaving(self, lane: int) -> bool:
        """Whether the lane is being given back: nothing more of it is sent."""
        return lane in self._limits

    def has(self, lane: int) -> bool:
        """Whether the lane is ours, and stays so."""
        return lane in self.stored and lane not in self._limits

    def lanes_to_read(self, upto: int) -> list[int]:
        """Lanes of which events up to `upto` are wanted."""
        return [
            lane for lane, read in self._read.items() if read < upto and lane not in self._limits
        ]

    def read_so_far(self, lane: int) -> int:
        """Up to which number the lane is read."""
        return max(self.read_to, self._read[lane])

    @property
    def lag(self) -> int:
        """How far reading is ahead of the lowest cursor, in event numbers."""
        return self.read_to - min(self.stored.values(), default=self.read_to)

    def owns(self, event: Event) -> bool:
        """Whether the event lies in a lane of ours and was not read before."""
        lane = event.lane
        return event.i_event > self._read.get(lane, event.i_event) and lane not in self._limits

    def append(self, item: Item) -> None:
        """Take an event just read."""
        self._lanes[item.event.lane].append(item)

    def drop(self, item: Item) -> None:
        """Forget an item that has no row: its lane's next owner reads it again."""
        lane = item.event.lane
        self._lanes[lane].remove(item)
        self._limits[lane] = min(self._limits[lane], item.event.i_event - 1)

    def positions(self, touched: Collection[int], least: int = 1) -> list[tuple[int, int]]:
        """(lane, cursor) after this settlement: those that move, and those of the touched lanes.

        The touched ones are there even if they stand still, so that the fence guards every row.
        Others only if they move by `least` numbers.
        """
        moved = []
        for lane, items in self._lanes.items():
            while items and (items[0].done or items[0].parked):
                items.popleft()
            position = items[0].event.i_event - 1 if items else self.read_so_far(lane)
            position = max(min(position, self._limits.get(lane, position)), self.stored[lane])
            if position - self.stored[lane] >= least or lane in touched:
                self.stored[lane] = position
                moved.append((lane, position))
        return moved

    def oldest(self) -> Item | None:
        """The oldest open item that holds its lane's cursor back."""
        heads = [head for items in self._lanes.values() if (head := _first_open(items))]
        return min(heads, key=lambda item: item.event.i_event, default=None)


def _first_open(items: deque[Item]) -> Item | None:
    return next((item for item in items if not (item.done or item.parked)), None)
