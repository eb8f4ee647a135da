"""Ends what has waited too long for a handler: such events fail, with the reason."""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence

from espf.eventlog.housekeeping.model import Report, Retention
from espf.eventlog.housekeeping.pace import Pace
from espf.eventlog.housekeeping.partitions import slot_of
from espf.eventlog.model import DAY_US, StatusName
from espf.eventlog.operating.resending import leave_parked
from espf.eventlog.operating.search.finding import find
from espf.eventlog.operating.search.pairs import read_pairs
from espf.eventlog.operating.search.views import HandlerView, views_of
from espf.eventlog.operating.session import Session
from espf.eventlog.operations import EventFilter, EventStatus

AT_ONCE = 500
"""In one transaction: the handler's lanes stand still for so long, which they did anyway."""
WAITING: tuple[StatusName, ...] = ("queued", "retry")
_SECOND_US = 1_000_000


class Expiry:
    """Unsettled events that happened more than `max_backlog_days` ago."""

    def __init__(self, session: Session, retention: Retention, now_us: int) -> None:
        self._session = session
        self._days = retention.max_backlog_days
        self._now_us = now_us
        self._cutoff_us = max(0, now_us - self._days * DAY_US)

    def run(self, pace: Pace, report: Report) -> None:
        """End them, handler by handler, until there is none left or the time is over."""
        for view in views_of(self._session):
            if not view.holds:
                continue  # what waits for it is passed by, and holds nothing back
            after = 0
            while not pace.over and (found := self._next(view, after, AT_ONCE)):
                after = found[-1].event.i_event
                if not self._over(view, found):
                    continue  # an operator had them sent again: nobody is disturbed for that
                began = time.monotonic()
                report.expired[view.name] += self._end(view, found)
                pace.took(time.monotonic() - began)

    def would_expire(self) -> dict[str, int]:
        """How many `run` would end now, by handler; those that have any."""
        counts: dict[str, int] = defaultdict(int)
        for view in views_of(self._session):
            after = 0
            while view.holds and (found := self._next(view, after, 1000)):
                after = found[-1].event.i_event
                counts[view.name] += len(self._over(view, found))
        return {name: count for name, count in counts.items() if count}

    def _next(self, view: HandlerView, after: int, size: int) -> list[EventStatus]:
        wanted = EventFilter(handler=view.name, statuses=WAITING, until_us=self._cutoff_us)
        with self._session.reading():
            return find(self._session, wanted, size, after=after)

    def _end(self, before: HandlerView, found: Sequence[EventStatus]) -> int:
        """In one transaction, once nobody else can settle them; returns how many it were."""
        session = self._session
        last = self._last_to_pass(before, found)
        with session.changing():
            session.run("lock_configuration")
            session.run("void_fences", {"i_handler": before.i_handler})
            (view,) = views_of(session, [before.name])
            numbers = [one.event.i_event for one in found]
            still = [one for one in read_pairs(session, [view], numbers) if one.status in WAITING]
            parked = self._parked(view.i_handler, still)
            ended = [one for one in still if self._is_over(view, one, parked)]
            self._record(view.i_handler, ended)
            self._keep_shown(ended)
            for one in still:
                if one not in ended and one.event.i_event not in parked:
                    last = min(last, one.event.i_event - 1)
            session.run("pass_lanes", {"i_handler": view.i_handler, "position": last})
            session.run("bump_config_version")
        return len(ended)

    def _keep_shown(self, ended: Sequence[EventStatus]) -> None:
        """A partition is not dropped before somebody has seen what failed in it."""
        for slot in {slot_of(one.event.i_event) for one in ended}:
            bound = {"name": f"expired:{slot}", "value": self._now_us}
            self._session.run("set_mark", bound)

    def _last_to_pass(self, view: HandlerView, found: Sequence[EventStatus]) -> int:
        """How far the cursors may move: they must, for engines look only near above them.

        Not past what is younger and waits. Nor past the end of what is known: where a clock was
        wrong an old event may be among the newest, and some may still come before it.
        """
        younger = EventFilter(
            handler=view.name, statuses=WAITING, since_us=self._cutoff_us + _SECOND_US
        )
        with self._session.reading():
            waiting = find(self._session, younger, 1, after=view.lowest)
        limits = [found[-1].event.i_event, *(one.event.i_event - 1 for one in waiting)]
        return min([*limits, self._session.end_of_log()])

    def _over(self, view: HandlerView, found: Sequence[EventStatus]) -> list[EventStatus]:
        """Those that have waited too long."""
        parked = self._parked(view.i_handler, found)
        return [one for one in found if self._is_over(view, one, parked)]

    def _is_over(self, view: HandlerView, one: EventStatus, parked: Mapping[int, int]) -> bool:
        """What an operator had sent again, or replayed, waits since then only."""
        return parked.get(one.event.i_event, view.replayed_us) <= self._cutoff_us

    def _parked(self, i_handler: int, found: Sequence[EventStatus]) -> dict[int, int]:
        """Those that are parked, and since when they are tried."""
        numbers = [one.event.i_event for one in found]
        rows = self._session.run("parked_since", {"i_handler": i_handler, "numbers": numbers})
        return dict(rows.fetchall())

    def _record(self, i_handler: int, ended: Sequence[EventStatus]) -> None:
        numbers = [one.event.i_event for one in ended]
        bound = {
            "i_handler": i_handler,
            "handlers": [i_handler],
            "numbers": numbers,
            "now_us": self._now_us,
            "status": "failed",
            "reason": f"expired: it was not settled within {self._days} days",
        }
        self._session.run("record_end", bound)
        self._session.run("remove_wishes", bound)
        leave_parked(self._session, i_handler, numbers, self._now_us)
