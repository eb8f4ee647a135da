"""Finds the pairs of event and handler that fit a filter, page by page."""

from collections.abc import Callable, Iterator
from itertools import islice

from espf.clock import utc_text
from espf.eventlog.operating.search.blocks import Stretch, Walk
from espf.eventlog.operating.search.choosing import NO_END, sources_of
from espf.eventlog.operating.search.pairs import read_pairs
from espf.eventlog.operating.search.views import views_of
from espf.eventlog.operating.session import Session
from espf.eventlog.operations import EventFilter, EventStatus, PairKey

LEAST_AT_ONCE = 16
MOST_AT_ONCE = 1024
MOST_PAIRS_AT_ONCE = 4096
PATIENCE = 3
"""Chunks without a single pair after which the other source is asked as well."""


def find(
    session: Session,
    wanted: EventFilter,
    limit: int,
    *,
    before: PairKey | int | None = None,
    after: PairKey | int | None = None,
) -> list[EventStatus]:
    """Pairs that fit: newest first, or oldest first when `after` is given.

    Of one event they come by the handler's name. A page goes on behind a pair, or a whole event.
    """
    down = after is None
    edge = before if down else after
    walk = Walk(session, down=down, blocks=session.run("blocks_done").fetchone()[0])
    pairs = _pairs(walk, wanted, limit, _within(down, edge))
    if isinstance(edge, PairKey):
        pairs = (one for one in pairs if _is_behind(one, edge))
    return list(islice(pairs, limit))


def _is_behind(one: EventStatus, edge: PairKey) -> bool:
    return one.event.i_event != edge.i_event or one.handler > edge.handler


def _within(down: bool, edge: PairKey | int | None) -> Stretch:
    if edge is None:
        return Stretch(0, NO_END)
    number = edge.i_event if isinstance(edge, PairKey) else edge - 1 if down else edge + 1
    return Stretch(0, number) if down else Stretch(number, NO_END)


def _pairs(walk: Walk, wanted: EventFilter, limit: int, within: Stretch) -> Iterator[EventStatus]:
    """Every pair that fits, in the search's order."""
    session = walk.session
    views = views_of(session, None if wanted.handler is None else [wanted.handler])
    lowest, highest = session.run("ends_of_log").fetchone()
    if not views or lowest is None:
        return
    within = within.and_(Stretch(lowest, highest))
    source, thorough = sources_of(walk, wanted, views)
    fits = _fitting(wanted)
    most = min(MOST_AT_ONCE, max(LEAST_AT_ONCE, MOST_PAIRS_AT_ONCE // len(views)))
    size, fruitless = min(max(limit, LEAST_AT_ONCE), most), 0
    while within.low <= within.high:
        numbers = source.chunk(within, size)
        found = read_pairs(session, views, numbers)
        yield from _in_order(walk.down, [one for one in found if fits(one)])
        if len(numbers) < size:
            return
        last = numbers[-1]
        within = Stretch(within.low, last - 1) if walk.down else Stretch(last + 1, within.high)
        fruitless = 0 if found else fruitless + 1
        if fruitless == PATIENCE:
            source = thorough
        size = min(size * 2, most)


def _in_order(down: bool, found: list[EventStatus]) -> list[EventStatus]:
    """By number; those of one event stay by the handler's name."""
    return sorted(found, key=lambda one: one.event.i_event, reverse=True) if down else found


def _fitting(wanted: EventFilter) -> Callable[[EventStatus], bool]:
    """The filter itself, exactly."""
    checks: list[Callable[[EventStatus], bool]] = []
    if wanted.statuses is not None:
        statuses = frozenset(wanted.statuses)
        checks.append(lambda one: one.status in statuses)
    if wanted.i_events is not None:
        numbers = frozenset(wanted.i_events)
        checks.append(lambda one: one.event.i_event in numbers)
    if wanted.event_types is not None:
        types = frozenset(wanted.event_types)
        checks.append(lambda one: one.event.event_type in types)
    if wanted.entity is not None:
        checks.append(lambda one: one.event.entity == wanted.entity)
    if wanted.entity_id is not None:
        checks.append(lambda one: one.event.entity_id == wanted.entity_id)
    if wanted.since_us is not None:
        since = utc_text(wanted.since_us)
        checks.append(lambda one: one.event.event_time >= since)
    if wanted.until_us is not None:
        until = utc_text(wanted.until_us)
        checks.append(lambda one: one.event.event_time <= until)
    return lambda one: all(check(one) for check in checks)
