"""What the engine reads: short ranges by an index, on the event loop."""

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson

from espf.eventlog.model import (
    BULK_FROM,
    Batch,
    DueEvents,
    EntityKey,
    HandlerRow,
    HandlerState,
    LaneLease,
    LaneRow,
    ParkedEvent,
    ParkedMoment,
    Standing,
)
from espf.eventlog.operating.handlers import handler_row, handler_state
from espf.eventlog.statements import statements
from espf.eventlog.stretches import stretches
from espf.events.model import Event

_SQL = statements("sqlite")
_EVENT_FIELDS = len(Event._fields)


def standing(reader: sqlite3.Connection) -> Standing:
    """End of the log (0 when it is empty) and version of the configuration."""
    return Standing(*reader.execute(_SQL["standing"]).fetchone())


def handlers(reader: sqlite3.Connection) -> list[HandlerRow]:
    """All handlers with the types they are subscribed to, by name."""
    return [
        handler_row(
            row, [name for (name,) in _rows(reader, _SQL["subscriptions"], {"i_handler": row[0]})]
        )
        for row in _rows(reader, _SQL["handlers"], {})
    ]


def state(reader: sqlite3.Connection, i_handler: int) -> HandlerState:
    """Breaker and stopped time; the default for a handler that has none stored."""
    rows = _rows(reader, _SQL["state"], {"i_handler": i_handler})
    return handler_state(rows[0] if rows else None)


def parked_moments(reader: sqlite3.Connection, bound: dict[str, object]) -> list[ParkedMoment]:
    """When some of what is parked was parked."""
    return [ParkedMoment._make(row) for row in _rows(reader, _SQL["parked_moments"], bound)]


def lanes(reader: sqlite3.Connection) -> list[LaneRow]:
    """Every lane of every handler."""
    return [LaneRow._make(row) for row in _rows(reader, _SQL["lanes"], {})]


def settled_above(
    reader: sqlite3.Connection, i_handler: int, leases: Sequence[LaneLease]
) -> frozenset[int]:
    """Events above these lanes' cursors that the attempt log shows as settled."""
    found: set[int] = set()
    for stretch in stretches(lease.position for lease in leases):
        bound = {"i_handler": i_handler, **stretch._asdict()}
        found.update(n for (n,) in reader.execute(_SQL["settled_between"], bound))
    return frozenset(found)


def read_batch(
    reader: sqlite3.Connection,
    i_handler: int,
    after: int,
    upto: int,
    limit: int,
    lanes: str | None,
    bulk_after: int | None,
) -> Batch:
    """One batch and what must be known about it, in one snapshot.

    Of bulk events if `bulk_after` is None.
    """
    bound = {
        "bulk_after": bulk_after,
        "i_handler": i_handler,
        "after": after,
        "upto": upto,
        "limit": limit,
        "lanes": lanes,
    }
    reader.execute("BEGIN")
    try:
        wanted = "read_bulk" if bulk_after is None else "read"
        events = [Event._make(row) for row in _rows(reader, _SQL[wanted], bound)]
        read_to = events[-1].i_event if len(events) == limit else upto
        parked = _parked_keys(reader, i_handler, events)
        bound["upto"] = read_to
        numbers = reader.execute(_SQL["parked_between"], bound).fetchall() if parked else []
        asked = skips(reader, i_handler, after, read_to)
        ahead = bulk_after is not None and reader.execute(_SQL["has_bulk"], bound).fetchone()[0]
    finally:
        reader.execute("COMMIT")
    return Batch(events, read_to, parked, asked, frozenset(n for (n,) in numbers), bool(ahead))


def behind_bulk(
    reader: sqlite3.Connection,
    i_handler: int,
    events: Collection[Event],
    after: Mapping[int, int],
) -> frozenset[int]:
    """Events with a bulk event of their entity before them that is not read yet."""
    asked = [
        (e.i_event, e.entity, e.entity_id, read_to)
        for e in events
        if (read_to := after.get(e.lane + BULK_FROM)) is not None
    ]
    bound = {"i_handler": i_handler, "asked": orjson.dumps(asked).decode()}
    return frozenset(n for (n,) in reader.execute(_SQL["behind_bulk"], bound).fetchall())


def skips(reader: sqlite3.Connection, i_handler: int, after: int, upto: int) -> dict[int, str]:
    """Events that an operator asked to skip: i_event → reason."""
    bound = {"i_handler": i_handler, "after": after, "upto": upto}
    return {i_event: _text(reason) for i_event, reason in reader.execute(_SQL["skips"], bound)}


def _parked_keys(
    reader: sqlite3.Connection, i_handler: int, events: list[Event]
) -> dict[EntityKey, int | None]:
    """Which of these events' entities have something parked, and what waits for bulk events."""
    bound: dict[str, Any] = {"i_handler": i_handler}
    if not events or not reader.execute(_SQL["has_parked"], bound).fetchone()[0]:
        return {}
    bound["entity_ids"] = orjson.dumps(list({event.entity_id for event in events})).decode()
    return {
        (_text(entity), entity_id): waiter
        for entity, entity_id, waiter in reader.execute(_SQL["parked_keys"], bound).fetchall()
    }


def due(
    reader: sqlite3.Connection,
    i_handler: int,
    now_us: int,
    upto_us: int,
    limit: int,
    exclude: list[int],
    lanes: str | None,
) -> DueEvents:
    """Parked events due up to `upto_us`, and the next due time after `now_us`."""
    bound = {
        "i_handler": i_handler,
        "upto_us": upto_us,
        "limit": limit,
        "exclude": orjson.dumps(exclude).decode(),
        "lanes": lanes,
    }
    rows = _rows(reader, _SQL["due"], bound)
    events = [ParkedEvent(Event._make(row[:_EVENT_FIELDS]), *row[_EVENT_FIELDS:]) for row in rows]
    following = reader.execute(
        _SQL["next_due"], {"i_handler": i_handler, "now_us": now_us}
    ).fetchone()[0]
    numbers = [row.event.i_event for row in events]
    asked = skips(reader, i_handler, min(numbers) - 1, max(numbers)) if numbers else {}
    return DueEvents(events, following, asked)


def successor(reader: sqlite3.Connection, event: Event, upto: int) -> int | None:
    """The next event of the same type and entity up to `upto`, or None."""
    bound = {
        "entity": event.entity,
        "entity_id": event.entity_id,
        "event_type": event.event_type,
        "i_event": event.i_event,
        "upto": upto,
    }
    found: int | None = reader.execute(_SQL["successor"], bound).fetchone()[0]
    return found


def _rows(reader: sqlite3.Connection, query: str, bound: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Rows of a statement. A shell can store text that is not UTF-8: it must not stop the lane."""
    try:
        return reader.execute(query, bound).fetchall()
    except sqlite3.OperationalError as error:
        if "decode" not in str(error):
            raise
    reader.text_factory = _text
    try:
        return reader.execute(query, bound).fetchall()
    finally:
        reader.text_factory = str


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "replace")
