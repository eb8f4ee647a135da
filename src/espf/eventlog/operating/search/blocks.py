"""Where in the log to look: blocks of numbers hold which times, types and kinds of entity.

Housekeeping keeps account of each block of 4,096 numbers that is complete. What comes behind the
last of them, the tail, is always looked at.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from espf.eventlog.operating.session import Session

BLOCK = 4096
FIRST_WINDOW = 16
WIDEST_WINDOW = 65_536


class Stretch(NamedTuple):
    """Numbers from `low` to `high`, both included."""

    low: int
    high: int

    def and_(self, other: "Stretch") -> "Stretch":
        """Numbers in both; none of them if `low` is above `high`."""
        return Stretch(max(self.low, other.low), min(self.high, other.high))


@dataclass(frozen=True, slots=True)
class Holding:
    """What a block must hold to be looked at; None: anything. Times as in `event_time`."""

    since: str | None = None
    until: str | None = None
    event_types: Sequence[str] | None = None
    entity: str | None = None

    @property
    def anything(self) -> bool:
        """Whether every block will do."""
        return self == Holding()


@dataclass(frozen=True, slots=True)
class Walk:
    """Which way a search goes, and what it knows of the log."""

    session: Session
    down: bool
    blocks: int
    """Blocks below this one are complete."""

    def stretches(self, within: Stretch, holding: Holding) -> Iterator[Stretch]:
        """The stretches to look at, in the search's order."""
        if holding.anything:
            yield within
            return
        tail = Stretch(max(within.low, self.blocks * BLOCK), within.high)
        body = Stretch(within.low, min(within.high, self.blocks * BLOCK - 1))
        if self.down and tail.low <= tail.high:
            yield tail
        if body.low <= body.high:
            yield from self._in_blocks(body, holding)
        if not self.down and tail.low <= tail.high:
            yield tail

    def _in_blocks(self, body: Stretch, holding: Holding) -> Iterator[Stretch]:
        for window in self._windows(body.low // BLOCK, body.high // BLOCK):
            blocks = self._blocks(window, holding)
            for run in _runs(blocks if not self.down else blocks[::-1]):
                stretch = Stretch(run.low * BLOCK, (run.high + 1) * BLOCK - 1)
                yield Stretch(max(stretch.low, body.low), min(stretch.high, body.high))

    def _windows(self, first: int, last: int) -> Iterator[Stretch]:
        """Blocks from `first` to `last` in growing windows: the near ones are the likely ones."""
        size = FIRST_WINDOW
        while first <= last:
            if self.down:
                yield Stretch(max(first, last - size + 1), last)
                last -= size
            else:
                yield Stretch(first, min(last, first + size - 1))
                first += size
            size = min(size * 2, WIDEST_WINDOW)

    def _blocks(self, window: Stretch, holding: Holding) -> list[int]:
        """Blocks of the window that hold what is wanted, in ascending order."""
        bound: dict[str, Any] = {"low": window.low, "high": window.high}
        text = "SELECT b.block FROM event_block AS b WHERE b.block BETWEEN :low AND :high"
        if holding.since is not None:
            text, bound["since"] = f"{text} AND b.high_time >= :since", holding.since
        if holding.until is not None:
            text, bound["until"] = f"{text} AND b.low_time <= :until", holding.until
        if holding.event_types is not None:
            text += _COUNTED.format(field="event_type", values="event_types")
            bound["event_types"] = list(holding.event_types)
        if holding.entity is not None:
            text += _COUNTED.format(field="entity", values="entities")
            bound["entities"] = [holding.entity]
        return [row[0] for row in self.session.query(f"{text} ORDER BY b.block", bound)]


_COUNTED = """ AND b.block IN (SELECT c.block FROM event_block_count AS c
WHERE c.field = '{field}' AND c.value IN (:{values}[]) AND c.block BETWEEN :low AND :high)"""


def _runs(blocks: Sequence[int]) -> Iterator[Stretch]:
    """Neighbouring blocks together, in the order given."""
    run: Stretch | None = None
    for block in blocks:
        if run is not None and block in (run.low - 1, run.high + 1):
            run = Stretch(min(run.low, block), max(run.high, block))
            continue
        if run is not None:
            yield run
        run = Stretch(block, block)
    if run is not None:
        yield run


def without(whole: Stretch, holes: Iterable[Stretch]) -> Iterator[Stretch]:
    """What is left of a stretch, in ascending order."""
    low = whole.low
    for hole in sorted(holes):
        if low < hole.low <= whole.high:
            yield Stretch(low, hole.low - 1)
        low = max(low, hole.high + 1)
    if low <= whole.high:
        yield Stretch(low, whole.high)


def pieces(stretch: Stretch, size: int, *, down: bool) -> Iterator[Stretch]:
    """The stretch cut into parts, in the search's order."""
    low, high = stretch
    while low <= high:
        if down:
            yield Stretch(max(low, high - size + 1), high)
            high -= size
        else:
            yield Stretch(low, min(high, low + size - 1))
            low += size
