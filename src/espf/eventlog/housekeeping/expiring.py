"""Ends what has waited too long for a handler: such events fail, with the reason."""

import time
from collections import defaultdict
from collections.abc import Sequence

from espf.eventlog.housekeeping.model import Report, Retention
from espf.eventlog.housekeeping.pace import Pace
from espf.eventlog.model import DAY_US, StatusName
from espf.eventlog.operating.search.finding import find
from espf.eventlog.operating.search.pairs import read_pairs
from espf.eventlog.operating.search.views import HandlerView, views_of
from espf.eventlog.operating.session import Session
from espf.eventlog.operations import EventFilter, EventStatus

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
            while not pace.over and (found := self._next(view, after, pace.size)):
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
        # Where a clock was wrong, an old event may be among the newest: some may still come before.
        last = min(found[-1].event.i_event, session.end_of_log())
        with session.changing():
            session.run("lock_configuration")
            session.run("void_fences", {"i_handler": before.i_handler})
            (view,) = views_of(session, [before.name])
            numbers = [one.event.i_event for one in found]
            still = [one for one in read_pairs(session, [view], numbers) if one.status in WAITING]
            ended = self._over(view, still)
            self._record(ended)
            self._pass_lanes(view, ended, last)
            session.run("bump_config_version")
        return len(ended)

    def _over(self, view: HandlerView, found: Sequence[EventStatus]) -> list[EventStatus]:
        """Those that have waited too long. What an operator had sent again waits since then."""
        parked = self._parked(view.i_handler, found)
        since_us = {one.event.i_event: view.replayed_us for one in found} | parked
        return [one for one in found if since_us[one.event.i_event] <= self._cutoff_us]

    def _parked(self, i_handler: int, found: Sequence[EventStatus]) -> dict[int, int]:
        """Those that are parked, and since when they are tried."""
        numbers = [one.event.i_event for one in found]
        rows = self._session.run("parked_since", {"i_handler": i_handler, "numbers": numbers})
        return dict(rows.fetchall())

    def _record(self, ended: Sequence[EventStatus]) -> None:
        if not ended:
            return
        reason = f"expired: it was not settled within {self._days} days"
        bounds = [
            {
                "i_handler": one.i_handler,
                "i_event": one.event.i_event,
                "entity": one.event.entity,
                "entity_id": one.event.entity_id,
                "now_us": self._now_us,
                "reason": reason,
            }
            for one in ended
        ]
        parked = self._parked(ended[0].i_handler, ended)
        self._session.run_many("record_expired", bounds)
        self._session.run_many("skip_done", bounds)
        for bound in bounds:
            if bound["i_event"] in parked:
                self._session.run("skip_parked", bound)
                self._session.run("activate_next", bound)

    def _pass_lanes(self, view: HandlerView, ended: Sequence[EventStatus], last: int) -> None:
        """Move the cursors past what was ended, up to what still waits before it in its lane.

        They must move: engines look for settled events near above the cursors only.
        """
        wanted = EventFilter(
            handler=view.name, statuses=WAITING, since_us=self._cutoff_us + _SECOND_US
        )
        for one in find(self._session, wanted, 1, after=view.lowest):
            last = min(last, one.event.i_event - 1)
        furthest: dict[int, int] = {}
        for one in ended:
            if one.event.i_event <= last:
                furthest[one.event.lane] = one.event.i_event
        for lane, position in furthest.items():
            bound = {"i_handler": view.i_handler, "lane": lane, "position": position}
            self._session.run("pass_lane", bound)
