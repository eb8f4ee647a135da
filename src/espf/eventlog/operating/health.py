"""How handlers are doing: each figure is found by an index, however long the log is."""

from datetime import UTC, datetime

from espf.eventlog.model import HandlerRow
from espf.eventlog.operating.search.blocks import BLOCK
from espf.eventlog.operating.search.finding import find
from espf.eventlog.operating.search.views import HandlerView, views_of
from espf.eventlog.operating.session import Session
from espf.eventlog.operations import COUNT_TO, EventFilter, HandlerHealth

AHEAD = 16_384
"""Engines settle no event that is further above its lane's cursor."""


def health_of(session: Session, rows: list[HandlerRow]) -> list[HandlerHealth]:
    """How each of these handlers is doing."""
    views = {view.i_handler: view for view in views_of(session)}
    last_attempt = session.run("last_attempt").fetchone()[0]
    failures = dict(session.run("last_failures", {"last_attempt": last_attempt}).fetchall())
    return [
        _health(session, row, views[row.i_handler], failures.get(row.i_handler)) for row in rows
    ]


def _health(
    session: Session, row: HandlerRow, view: HandlerView, failure: str | None
) -> HandlerHealth:
    breaker, since_us, reason, parked = session.run(
        "health", {"i_handler": row.i_handler}
    ).fetchone()
    waiting, exact = waiting_in_lanes(session, view)
    return HandlerHealth(
        handler=row,
        backlog=waiting + parked,
        backlog_exact=exact,
        parked=parked,
        breaker=breaker,
        breaker_since_us=since_us,
        breaker_reason=reason,
        oldest_us=_oldest_us(session, row.name) if waiting + parked else None,
        last_reason=failure,
    )


def waiting_in_lanes(session: Session, view: HandlerView) -> tuple[int, bool]:
    """How many events wait above the cursors, parked ones not counted; False: there are more.

    Near the cursors each is looked at. Above, nothing is settled: what the blocks hold is added up,
    and counted in the tail that no block tells of yet.
    """
    if not view.event_types:
        return 0, True
    blocks = session.run("blocks_done").fetchone()[0]
    near_to = ((view.highest + AHEAD) // BLOCK + 1) * BLOCK - 1
    bound = {"i_handler": view.i_handler, "event_types": sorted(view.event_types)}
    bound |= {"replayed": view.replayed, "count_to": COUNT_TO}
    near = _count(session, "waiting_near", {**bound, "low": view.lowest, "high": near_to})
    first_block = (near_to + 1) // BLOCK
    far = _count(
        session, "counted_in_blocks", {**bound, "low": first_block, "high": max(blocks - 1, 0)}
    )
    tail_from = max(blocks, first_block) * BLOCK
    tail = _count(session, "waiting_in_tail", {**bound, "low": tail_from, "high": 2**62})
    return near + far + tail, near < COUNT_TO and tail < COUNT_TO


def _count(session: Session, name: str, bound: dict[str, object]) -> int:
    return int(session.run(name, bound).fetchone()[0])


def _oldest_us(session: Session, name: str) -> int | None:
    """When the oldest event that is not settled happened."""
    wanted = EventFilter(handler=name, statuses=("queued", "retry", "in_progress"))
    found = find(session, wanted, 1, after=0)
    if not found:
        return None
    text = found[0].event.event_time
    happened = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    return int(happened.timestamp()) * 1_000_000
