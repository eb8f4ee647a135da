"""Drops partitions whose events are over all their days, and settled for everybody."""

from collections.abc import Iterator
from dataclasses import dataclass

from espf.errors import LockTaken
from espf.eventlog.housekeeping import blocks
from espf.eventlog.housekeeping.model import Report, Retention, cutoff
from espf.eventlog.housekeeping.pace import Pace
from espf.eventlog.housekeeping.partitions import (
    TABLES,
    Partition,
    detach,
    numbers_of,
    partitions_of,
    remove_detached,
)
from espf.eventlog.model import DAY_US, StatusName
from espf.eventlog.operating.search.blocks import BLOCK, Stretch
from espf.eventlog.operating.search.finding import find
from espf.eventlog.operating.search.views import views_of
from espf.eventlog.operating.session import Session
from espf.eventlog.operations import EventFilter

UNSETTLED: tuple[StatusName, ...] = ("queued", "in_progress", "retry")
SOON_DAYS = 7
"""The rows of a partition that goes so soon are not removed one by one."""


@dataclass(slots=True)
class Dropping:
    """Looks at the partitions behind, the lowest first. There are none on SQLite."""

    session: Session
    retention: Retention
    now_us: int

    def run(self, pace: Pace, report: Report) -> None:
        """Drop those that may go. Who uses one delays it: the next call tries again."""
        in_place, left = partitions_of(self.session)
        for one in left:
            remove_detached(self.session, one)
        for slot in self._complete(in_place):
            if pace.over or not self._is_over(slot, self.now_us, in_place):
                return
            if not self._drop(slot, in_place):
                return
            report.partitions_dropped += 1

    def going(self) -> Iterator[Stretch]:
        """Numbers of the partitions that are settled, and dropped within days."""
        in_place, _ = partitions_of(self.session)
        soon_us = self.now_us + SOON_DAYS * DAY_US
        for slot in self._complete(in_place):
            if not (self._is_over(slot, soon_us, in_place) and self._is_settled(slot)):
                return
            yield numbers_of(slot)

    def over(self) -> list[int]:
        """Slots that `run` would drop now."""
        found = []
        in_place, _ = partitions_of(self.session)
        for slot in self._complete(in_place):
            if not (self._is_over(slot, self.now_us, in_place) and self._is_settled(slot)):
                break
            found.append(slot)
        return found

    def _complete(self, in_place: set[Partition]) -> list[int]:
        """Slots to which nothing can be added, in ascending order."""
        done = self.session.run("blocks_done").fetchone()[0] * BLOCK
        return sorted({one.slot for one in in_place if one.numbers.high < done})

    def _is_over(self, slot: int, now_us: int, in_place: set[Partition]) -> bool:
        newest = self.session.run("newest_in_blocks", _blocks(slot)).fetchone()[0]
        if newest is None:
            return True
        # Events that came before their partition are in the default one, and go one by one.
        whole = Partition("event", slot) in in_place
        over = newest <= cutoff(now_us, self.retention.longest_days)
        return whole and over and not self._expired_lately(slot, now_us)

    def _expired_lately(self, slot: int, now_us: int) -> bool:
        found = self.session.run("mark", {"name": f"expired:{slot}"}).fetchone()
        shown_us = self.retention.shown_days("failed") * DAY_US
        return found is not None and found[0] > now_us - shown_us

    def _is_settled(self, slot: int) -> bool:
        """Nothing of it waits for any handler that events wait for, in a lane or parked."""
        numbers = numbers_of(slot)
        for view in views_of(self.session):
            wanted = EventFilter(handler=view.name, statuses=UNSETTLED)
            found = find(self.session, wanted, 1, after=numbers.low - 1) if view.holds else []
            if found and found[0].event.i_event <= numbers.high:
                return False
        return True

    def _drop(self, slot: int, in_place: set[Partition]) -> bool:
        """First the attempts, then the events: an event without attempts is nothing to anybody."""
        for table in TABLES[::-1]:
            one = Partition(table, slot)
            if one in in_place and not self._detach(one):
                return False
            remove_detached(self.session, one)
        self._forget(slot)
        return True

    def _detach(self, one: Partition) -> bool:
        """Operators wait, so that nobody has an event of it sent again in the same moment."""
        try:
            with self.session.changing():
                detach(self.session, one, self._may_go)
        except (LockTaken, _StillNeeded):
            return False
        return True

    def _may_go(self, one: Partition) -> None:
        self.session.run("lock_configuration")
        if not self._is_settled(one.slot):
            raise _StillNeeded

    def _forget(self, slot: int) -> None:
        with self.session.changing():
            numbers = numbers_of(slot)._asdict()
            self.session.run("remove_parked_between", numbers)
            self.session.run("remove_wishes_between", numbers)
            self.session.run("remove_mark", {"name": f"expired:{slot}"})
            blocks.forget(self.session, **_blocks(slot))


class _StillNeeded(Exception):  # noqa: N818 - no error: it undoes the transaction
    """Somebody needs the partition's events after all."""


def _blocks(slot: int) -> dict[str, int]:
    numbers = numbers_of(slot)
    return {"low": numbers.low // BLOCK, "high": numbers.high // BLOCK}
