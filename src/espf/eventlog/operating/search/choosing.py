"""Chooses the sources for a filter."""

from collections.abc import Iterator, Sequence

from espf.clock import utc_text
from espf.eventlog.model import StatusName
from espf.eventlog.operating.search.blocks import Holding, Stretch, Walk
from espf.eventlog.operating.search.pairs import SETTLED
from espf.eventlog.operating.search.sources import (
    Bounded,
    Indexed,
    Listed,
    Merged,
    Rarest,
    Scan,
    Source,
)
from espf.eventlog.operating.search.views import HandlerView
from espf.eventlog.operations import EventFilter

NO_END = 2**63 - 1
_ALL: tuple[StatusName, ...] = (*SETTLED, "queued", "in_progress", "retry")
_STANDINGS: dict[StatusName, int] = {"queued": 0, "retry": 1, "in_progress": 2}


def sources_of(
    walk: Walk, wanted: EventFilter, views: Sequence[HandlerView]
) -> tuple[Source, Source]:
    """The source to begin with, and the one to go on with when that finds nothing for long.

    The second knows which events have a pair at all: those of a handler that is gone have none.
    """
    if wanted.i_events is not None:
        listed = Listed(walk, wanted.i_events)
        return listed, listed
    sources = [*_of_entity(walk, wanted)]
    statuses = _ALL if wanted.statuses is None else wanted.statuses
    pairs = Merged(walk, [_of_handler(walk, view, statuses) for view in views])
    if wanted.handler is not None or wanted.statuses is not None:
        sources.append(pairs)
    holding = holding_of(wanted)
    if not (holding.anything and sources):
        sources.append(Scan(walk, holding))
    return Rarest(walk, sources), Rarest(walk, [*sources, pairs])


def holding_of(wanted: EventFilter) -> Holding:
    """What a block must hold for the filter to find something there."""
    return Holding(
        since=_time(wanted.since_us),
        until=_time(wanted.until_us),
        event_types=wanted.event_types,
        entity=wanted.entity if wanted.entity_id is None else None,
    )


def _time(time_us: int | None) -> str | None:
    return None if time_us is None else utc_text(time_us)


def _of_entity(walk: Walk, wanted: EventFilter) -> Iterator[Source]:
    if wanted.entity_id is None:
        return
    kinds = [wanted.entity]
    if wanted.entity is None:
        bound = {"entity_id": wanted.entity_id}
        kinds = [row[0] for row in walk.session.run("kinds_of_entity", bound)]
    yield Merged(
        walk,
        [
            Indexed(walk, "numbers_of_entity", {"entity": kind, "entity_id": wanted.entity_id})
            for kind in kinds
        ],
    )


def _of_handler(walk: Walk, view: HandlerView, statuses: Sequence[StatusName]) -> Source:
    """Every number at which the handler may have one of the statuses, by their own indexes."""
    found: list[Source] = [
        Indexed(walk, "numbers_attempted", {"i_handler": view.i_handler, "status": status})
        for status in SETTLED
        if status in statuses
    ]
    for status, standing in _STANDINGS.items():
        if status in statuses:
            bound = {"i_handler": view.i_handler, "standing": standing}
            found.append(Indexed(walk, "numbers_parked", bound))
    if view.event_types:
        found += _in_lanes(walk, view, statuses)
    return Merged(walk, found)


def _in_lanes(walk: Walk, view: HandlerView, statuses: Sequence[StatusName]) -> Iterator[Source]:
    """Of what has no row of its own: what waits in the lanes, and what was passed by."""
    holding = Holding(event_types=sorted(view.event_types))
    above = Stretch(view.lowest + 1, NO_END)
    bound: dict[str, object] = {"i_handler": view.i_handler}
    if "queued" in statuses:
        between = Stretch(view.lowest + 1, view.highest)
        yield Bounded(Scan(walk, holding, "numbers_in_lanes", bound), between)
        yield Bounded(Scan(walk, holding), Stretch(view.highest + 1, NO_END))
    elif "retry" in statuses:
        # Tried while the breaker was open: such an event keeps its place in the lane.
        attempted = Indexed(walk, "numbers_attempted", {**bound, "status": "retry"})
        yield Bounded(attempted, above)
    if "skipped" in statuses:
        for stretch in view.passed_stretches:
            yield Bounded(Scan(walk, holding), stretch)
