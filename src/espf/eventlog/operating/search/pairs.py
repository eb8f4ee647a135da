"""What events stand for with each handler: the one rule by which a status is told."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from espf.eventlog.model import StatusName
from espf.eventlog.operating.search.views import HandlerView
from espf.eventlog.operating.session import Session
from espf.eventlog.operations import EventStatus
from espf.events.model import Event

SETTLED: tuple[StatusName, ...] = ("finished", "failed", "skipped")


class _Parked(NamedTuple):
    in_progress: int
    attempts: int
    due_us: int | None
    reason: str | None

    @property
    def status(self) -> StatusName:
        if self.in_progress:
            return "in_progress"
        return "retry" if self.attempts else "queued"


class _Tried(NamedTuple):
    i_attempt: int
    attempt: int
    outcome: str
    status: StatusName
    code: int | None
    reason: str | None
    started_us: int


def event_of(row: tuple[Any, ...]) -> Event:
    """An event from a row with the columns in the order of its fields."""
    return Event._make(row)._replace(has_sim=bool(row[8]))


def read_pairs(
    session: Session, views: Sequence[HandlerView], numbers: Sequence[int]
) -> list[EventStatus]:
    """Every pair of these events and handlers that has a status, by number and handler's name."""
    return pairs_of(session, views, read_events(session, numbers))


def read_events(session: Session, numbers: Sequence[int]) -> list[Event]:
    """The events of these numbers, in their order."""
    if not numbers:
        return []
    return [event_of(row) for row in session.run("events_of", {"numbers": list(numbers)})]


def pairs_of(
    session: Session, views: Sequence[HandlerView], events: Sequence[Event]
) -> list[EventStatus]:
    """The same of events that are read already."""
    if not events or not views:
        return []
    bound = {
        "numbers": [event.i_event for event in events],
        "handlers": [view.i_handler for view in views],
    }
    parked = {(row[0], row[1]): _Parked(*row[2:]) for row in session.run("parked_of", bound)}
    tried: dict[tuple[int, int], list[_Tried]] = defaultdict(list)
    for i_handler, i_event, *rest in session.run("attempts_at", bound):
        tried[i_handler, i_event].append(_Tried(*rest))
    pairs = (
        _judge(event, view, parked.get(key), tried.get(key, ()))
        for event in events
        for view in views
        for key in ((view.i_handler, event.i_event),)
    )
    return [pair for pair in pairs if pair is not None]


def _judge(
    event: Event, view: HandlerView, parked: _Parked | None, tried: Sequence[_Tried]
) -> EventStatus | None:
    waits = view.waits(event.i_event, event.lane, event.event_type)
    if waits and view.replayed:
        tried = [one for one in tried if one.i_attempt > view.replayed]
    last = max(tried, default=None)  # by number, which is its first field
    if parked is not None:
        return _pair(event, view, parked.status, last, tried, parked)
    if last is not None and last.status in SETTLED:
        return _pair(event, view, last.status, last, tried)
    if waits:
        return _pair(event, view, "retry" if last is not None else "queued", last, tried)
    passed = view.passed_by(event.i_event, event.event_type) if last is None else None
    if passed is None:
        return None
    return EventStatus(
        event, view.name, view.i_handler, "skipped", 0, None, None, None, passed.reason, None
    )


def _tries(last: _Tried | None, tried: Sequence[_Tried]) -> int:
    """How often it was sent; who skips an event counts as no try."""
    if last is None:
        return 0
    if last.outcome != "skipped":
        return last.attempt
    return max(one.attempt for one in tried)


def _pair(
    event: Event,
    view: HandlerView,
    status: StatusName,
    last: _Tried | None,
    tried: Sequence[_Tried],
    parked: _Parked | None = None,
) -> EventStatus:
    reason = None if last is None else last.reason
    if parked is not None and parked.reason is not None:
        reason = parked.reason
    return EventStatus(
        event=event,
        handler=view.name,
        i_handler=view.i_handler,
        status=status,
        attempts=_tries(last, tried) if parked is None else parked.attempts,
        due_us=None if parked is None else parked.due_us,
        outcome=None if last is None else last.outcome,
        code=None if last is None else last.code,
        reason=reason,
        last_us=None if last is None else last.started_us,
    )
