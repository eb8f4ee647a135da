"""Housekeeping removes what is over its days and nothing else, whatever the log holds."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from espf.clock import utc_text
from espf.eventlog.engines import open_session
from espf.eventlog.housekeeping import pace, partitions
from espf.eventlog.housekeeping.keeping import keep_house
from espf.eventlog.housekeeping.model import Retention
from espf.eventlog.operating.search import finding
from espf.eventlog.operating.session import Session
from espf.eventlog.operations import EventFilter
from log_world import DAY_US, FIRST_US, NEWEST, AttemptMade, EventRow, HandlerMade, LogWorld, worlds
from storage_rig import Storage

NOW_US = FIRST_US + 25 * DAY_US
SETTLED = ("finished", "failed", "skipped")
days = st.sampled_from((3, 8, 15, 30))
retentions = st.builds(Retention, days, days, days, days)
quickly = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class Kept:
    """What must be left of a world, told row by row."""

    def __init__(self, world: LogWorld, retention: Retention) -> None:
        self.world = world
        self.retention = retention

    def expire(self) -> None:
        """What waited too long fails; cursors pass it as far as nothing younger waits before it."""
        limit = self.cutoff(self.retention.max_backlog_days)
        self.world.handlers = [self._expired(handler, limit) for handler in self.world.handlers]

    def _expired(self, handler: HandlerMade, limit: str) -> HandlerMade:
        waiting = [
            event
            for event in sorted(self.world.events, key=lambda event: event.i_event)
            if handler.holds and self.world.status(event, handler) in ("queued", "retry")
        ]
        old = [event for event in waiting if event.event_time <= limit]
        young = [event.i_event for event in waiting if event.event_time > limit]
        last = max((made.i_attempt for made in self.world.attempts), default=0)
        for number, event in enumerate(old, last + 1):
            made = AttemptMade(number, handler.i_handler, event.i_event, "failed", NOW_US)
            self.world.attempts.append(made)
        gone = {event.i_event for event in old}
        self.world.parked = [
            row
            for row in self.world.parked
            if row.i_handler != handler.i_handler or row.i_event not in gone
        ]
        if not old:
            return handler
        last = min([NEWEST, old[-1].i_event, *(number - 1 for number in young)])
        return replace(handler, positions=tuple(max(last, at) for at in handler.positions))

    def sweep(self) -> None:
        """Each number of days once, the fewest first."""
        for status in sorted(SETTLED, key=self.days):
            for event in list(self.world.events):
                if event.event_time <= self.cutoff(self.days(status)):
                    self._look_at(event)

    def _look_at(self, event: EventRow) -> None:
        pairs = [
            (handler, status)
            for handler in self.world.handlers
            if (status := self.world.status(event, handler)) is not None
        ]
        over = [handler for handler, status in pairs if self._is_over(event, handler, status)]
        gone = {handler.i_handler for handler in over}
        if len(over) == len(pairs) and (
            pairs or event.event_time <= self.cutoff(self.days("skipped"))
        ):
            self.world.events.remove(event)
            gone = {handler.i_handler for handler in self.world.handlers}
            self.world.parked = [row for row in self.world.parked if row.i_event != event.i_event]
        self.world.attempts = [
            made
            for made in self.world.attempts
            if made.i_event != event.i_event or made.i_handler not in gone
        ]

    def _is_over(self, event: EventRow, handler: HandlerMade, status: str) -> bool:
        ahead = event.i_event > handler.positions[event.entity_id]
        if handler.holds and (status not in SETTLED or ahead):
            return False
        days = self.days(status if status in SETTLED else "skipped")
        tried = self.world.tried(event, handler)
        lately = bool(tried) and tried[-1].at_us > NOW_US - min(7, days) * DAY_US
        return event.event_time <= self.cutoff(days) and not lately

    def days(self, status: str) -> int:
        return int(getattr(self.retention, f"{status}_days"))

    def cutoff(self, days: int) -> str:
        return utc_text(NOW_US - days * DAY_US)


@pytest.fixture
def session(storage: Storage) -> Iterator[Session]:
    made = open_session(storage.url)
    yield made
    made.close()


def all_pairs(storage: Storage) -> list[tuple[int, str, str]]:
    found = storage.operations.newer(EventFilter(), 0, 1000)
    return [(one.event.i_event, one.handler, one.status) for one in found]


@given(st.data())
@quickly
def test_what_is_over_its_days_goes_and_all_else_stays(
    storage: Storage, session: Session, data: st.DataObject
) -> None:
    world, retention = data.draw(worlds()), data.draw(retentions)
    world.write(storage)

    while (report := keep_house(session, retention, NOW_US, budget_s=60)) and report.more:
        pass

    kept = Kept(world, retention)
    kept.expire()
    kept.sweep()
    assert all_pairs(storage) == world.pairs(EventFilter())
    assert {row[0] for row in storage.all("SELECT i_event FROM event")} == {
        event.i_event for event in world.events
    }
    keys = {(made.i_handler, made.i_event) for made in world.attempts}
    assert set(storage.all("SELECT i_handler, i_event FROM attempt")) == keys
    assert set(storage.all("SELECT i_event FROM parked")) == {
        (row.i_event,) for row in world.parked
    }


@given(st.data())
@quickly
def test_nothing_that_waits_is_ever_removed(
    storage: Storage, session: Session, data: st.DataObject
) -> None:
    world = data.draw(worlds())
    world.write(storage)
    waiting = {
        (event.i_event, handler.name)
        for event in world.events
        for handler in world.handlers
        if handler.holds and world.status(event, handler) in ("queued", "retry", "in_progress")
    }
    one_day = Retention(1, 1, 1, max_backlog_days=10_000)

    for _ in range(2):
        keep_house(session, one_day, NOW_US, budget_s=60)

    assert waiting <= {(number, name) for number, name, _ in all_pairs(storage)}


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "LEAST_AT_ONCE", 4)
    monkeypatch.setattr(partitions, "AHEAD", 0)
    monkeypatch.setattr(pace, "PAUSE_S", 0)
