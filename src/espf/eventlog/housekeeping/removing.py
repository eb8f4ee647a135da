"""Removes events that are over their days: pair by pair, and the event with its last pair."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from espf.eventlog.housekeeping.blocks import recount
from espf.eventlog.housekeeping.model import Limits
from espf.eventlog.operating.search.blocks import BLOCK
from espf.eventlog.operating.search.pairs import SETTLED, pairs_of, read_events
from espf.eventlog.operating.search.views import HandlerView, views_of
from espf.eventlog.operating.session import Session
from espf.eventlog.operations import EventStatus
from espf.events.model import Event


@dataclass(slots=True)
class Verdict:
    """What of some events is over its days."""

    events: list[int] = field(default_factory=list)
    """Nobody needs these any more."""
    attempts: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    """Handler's key → events whose attempts by it may go, though others need the event."""
    pairs: list[EventStatus] = field(default_factory=list)
    """All that are over."""


def judge(
    events: Sequence[Event],
    pairs: Iterable[EventStatus],
    views: Sequence[HandlerView],
    limits: Limits,
) -> Verdict:
    """What may go. An event that a handler still waits for stays, whatever its age."""
    by_key = {view.i_handler: view for view in views}
    of_event: dict[int, list[EventStatus]] = defaultdict(list)
    for pair in pairs:
        of_event[pair.event.i_event].append(pair)
    verdict = Verdict()
    for event in events:
        its = of_event[event.i_event]
        over = [one for one in its if _is_over(one, by_key[one.i_handler], limits)]
        verdict.pairs += over
        if len(over) < len(its):
            for one in over:
                verdict.attempts[one.i_handler].append(event.i_event)
        elif its or limits.over("skipped", event.event_time, None):
            verdict.events.append(event.i_event)
    return verdict


def _is_over(pair: EventStatus, view: HandlerView, limits: Limits) -> bool:
    """What waits for a handler that will pass it by counts as skipped.

    What is settled above its lane's cursor stays: without its attempt it would be sent again.
    """
    settled = pair.status in SETTLED
    if view.holds and (not settled or view.is_ahead(pair.event.i_event, pair.event.lane)):
        return False
    status = pair.status if settled else "skipped"
    return limits.over(status, pair.event.event_time, pair.last_us)


def verdict_on(session: Session, numbers: Sequence[int], limits: Limits) -> Verdict:
    """What of these events is over its days as things stand."""
    views = views_of(session)
    events = read_events(session, numbers)
    return judge(events, pairs_of(session, views, events), views, limits)


def remove(
    session: Session, numbers: Sequence[int], limits: Limits, attempted: Iterable[int]
) -> tuple[int, int]:
    """Remove what is over of these events; returns how many events, and how many attempts.

    `attempted` are the keys of all handlers that there are attempts of.
    """
    verdict = verdict_on(session, numbers, limits)
    attempts = 0
    for i_handler, of in verdict.attempts.items():
        attempts += _remove_attempts(session, i_handler, of)
    if verdict.events:
        for i_handler in attempted:
            attempts += _remove_attempts(session, i_handler, verdict.events)
        bound = {"numbers": verdict.events, "handlers": [row[0] for row in session.run("handlers")]}
        for name in ("remove_parked", "remove_wishes", "remove_events"):
            session.run(name, bound)
        recount(session, {number // BLOCK for number in verdict.events})
    if attempts:
        session.run("forget_replays", {"last_attempt": session.run("last_attempt").fetchone()[0]})
    return len(verdict.events), attempts


def _remove_attempts(session: Session, i_handler: int, numbers: Sequence[int]) -> int:
    bound = {"i_handler": i_handler, "numbers": list(numbers)}
    return session.run("remove_attempts", bound).rowcount
