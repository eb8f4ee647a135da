"""Walks the log for what is over its days, from where the last walk stopped.

Each number of days has a mark. Once a day all begin anew: what was held up at the time, by a
handler that has caught up since, is found then. On PostgreSQL a partition that is about to be
dropped whole is left alone.
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator

from espf.eventlog.housekeeping.model import Report, Retention, cutoff
from espf.eventlog.housekeeping.pace import Pace
from espf.eventlog.housekeeping.removing import remove, verdict_on
from espf.eventlog.model import DAY_US
from espf.eventlog.operating.search.blocks import Holding, Stretch, Walk, without
from espf.eventlog.operating.search.sources import Scan
from espf.eventlog.operating.session import Session


class Sweep:
    """One walk for each number of days, in portions."""

    def __init__(
        self, session: Session, retention: Retention, now_us: int, apart: Iterable[Stretch] = ()
    ) -> None:
        """`apart` are stretches that are not looked at."""
        self._session = session
        self._retention = retention
        self._now_us = now_us
        self._limits = retention.limits(now_us)
        self._apart = list(apart)

    def run(self, pace: Pace, report: Report) -> None:
        """Remove until there is no more, or the time is over."""
        self._begin_day()
        attempted = [row[0] for row in self._session.run("handlers_attempted")]
        for days in self._retention.groups():
            while not pace.over:
                numbers = self._next(days, self._mark(days), pace.size)
                if not numbers:
                    break
                began = time.monotonic()
                with self._session.changing():
                    self._session.run("lock_configuration")
                    events, attempts = remove(self._session, numbers, self._limits, attempted)
                    self._set_mark(days, numbers[-1])
                pace.took(time.monotonic() - began)
                report.events += events
                report.attempts += attempts
        report.more = report.more or pace.over

    def would_remove(self) -> Iterator[Counter[str]]:
        """What `run` would remove now, portion by portion: `events`, and pairs by status.

        What is over any number of days is over the fewest: one walk sees it all.
        """
        days, after = min(self._retention.groups()), -1
        while numbers := self._next(days, after, 1000):
            after = numbers[-1]
            with self._session.reading():
                verdict = verdict_on(self._session, numbers, self._limits)
            counts = Counter[str](pair.status for pair in verdict.pairs)
            counts["events"] = len(verdict.events)
            yield counts

    def _next(self, days: int, after: int, size: int) -> list[int]:
        """The next events that happened so many days ago."""
        with self._session.reading():
            blocks = self._session.run("blocks_done").fetchone()[0]
            lowest, highest = self._session.run("ends_of_log").fetchone()
            if lowest is None:
                return []
            walk = Walk(self._session, down=False, blocks=blocks)
            source = Scan(walk, Holding(until=cutoff(self._now_us, days)))
            found: list[int] = []
            whole = Stretch(max(after + 1, lowest), highest)
            for stretch in without(whole, self._apart):
                found += source.chunk(stretch, size - len(found))
                if len(found) >= size:
                    break
            return found

    def _begin_day(self) -> None:
        today = self._now_us // DAY_US
        found = self._session.run("mark", {"name": "sweep_day"}).fetchone()
        if found is None or found[0] != today:
            with self._session.changing():
                self._session.run("forget_sweeps")
                self._session.run("forget_passed")
                self._session.run("forget_fanouts")
                self._session.run("set_mark", {"name": "sweep_day", "value": today})

    def _mark(self, days: int) -> int:
        found = self._session.run("mark", {"name": f"swept:{days}"}).fetchone()
        return -1 if found is None else int(found[0])

    def _set_mark(self, days: int, value: int) -> None:
        self._session.run("set_mark", {"name": f"swept:{days}", "value": value})
