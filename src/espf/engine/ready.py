"""Events of one handler that may be sent now: ordinary ones first, a bulk one now and then."""

from collections import deque
from collections.abc import Callable, Iterator

from espf.engine.item import Item
from espf.eventlog.model import BULK_FROM

IN_A_ROW = 8
"""Ordinary events sent while bulk ones wait; then one of those, or they might wait for ever."""


class Ready:
    """A queue of two. A fan-out to a million accounts never stands before another's event."""

    def __init__(self) -> None:
        self.ordinary: deque[Item] = deque()
        self.bulk: deque[Item] = deque()
        self._in_a_row = 0

    def __len__(self) -> int:
        return len(self.ordinary) + len(self.bulk)

    def __iter__(self) -> Iterator[Item]:
        yield from self.ordinary
        yield from self.bulk

    @property
    def next_queue(self) -> deque[Item]:
        """Where the next one is taken from."""
        if self.bulk and self._in_a_row >= IN_A_ROW:
            return self.bulk
        return self.ordinary or self.bulk

    def taken(self, item: Item) -> None:
        """An item was taken from the next queue."""
        if self.bulk or self._in_a_row:
            self._in_a_row = 0 if item.event.lane >= BULK_FROM else self._in_a_row + 1

    @property
    def first(self) -> Item:
        """The one that is sent next."""
        return self.next_queue[0]

    def append(self, item: Item) -> None:
        """Put an item behind those of its kind."""
        self._kind(item).append(item)

    def put_first(self, item: Item) -> None:
        """Put an item before those of its kind."""
        self._kind(item).appendleft(item)

    def remove(self, item: Item) -> None:
        """Take an item out."""
        self._kind(item).remove(item)

    def take_out(self, unwanted: Callable[[Item], bool]) -> list[Item]:
        """Remove and return all that are unwanted."""
        out = [item for item in self if unwanted(item)]
        if out:
            gone = set(out)
            self.ordinary = deque(item for item in self.ordinary if item not in gone)
            self.bulk = deque(item for item in self.bulk if item not in gone)
        return out

    def _kind(self, item: Item) -> deque[Item]:
        return self.bulk if item.event.lane >= BULK_FROM else self.ordinary
