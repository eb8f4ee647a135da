"""What the engine reads: short ranges by an index, several statements in one round trip."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson

from espf.eventlog.model import (
    ALL_LANES,
    BULK_FROM,
    LANES,
    Batch,
    DueEvents,
    HandlerRow,
    LaneLease,
    ParkedEvent,
)
from espf.eventlog.operating.handlers import handler_row
from espf.eventlog.postgres.link import Link
from espf.eventlog.postgres.statement import statement
from espf.eventlog.stretches import stretches
from espf.events.model import Event

_EVENT_FIELDS = len(Event._fields)


async def handlers(link: Link) -> list[HandlerRow]:
    """All handlers with the types they are subscribed to, by name."""
    rows = await link.fetch(statement("handlers"), {})
    if not rows:
        return []
    types = await link.fetch_all(
        [(statement("subscriptions"), {"i_handler": row[0]}) for row in rows]
    )
    return [
        handler_row(row, (name for (name,) in names))
        for row, names in zip(rows, types, strict=True)
    ]


async def settled_above(link: Link, i_handler: int, leases: Sequence[LaneLease]) -> frozenset[int]:
    """Events above these lanes' cursors that the attempt log shows as settled."""
    found = await link.fetch_all(
        [
            (statement("settled_between"), {"i_handler": i_handler, **stretch._asdict()})
            for stretch in stretches(lease.position for lease in leases)
        ]
    )
    return frozenset(i_event for rows in found for (i_event,) in rows)


async def read_batch(
    link: Link,
    i_handler: int,
    after: int,
    upto: int,
    limit: int,
    lanes: Collection[int],
    bulk_after: int | None,
) -> Batch:
    """One batch and what must be known about it; of bulk events if `bulk_after` is None.

    What is parked is asked after the events are: what parks in between is seen then, or was parked
    by the asker itself, who knows it.
    """
    bound: dict[str, Any] = {
        "i_handler": i_handler,
        "after": after,
        "upto": upto,
        "limit": limit,
        "lanes": listed(lanes),
        "bulk_after": bulk_after,
    }
    names = ["read", "has_parked", "skips", "has_bulk"]
    if bulk_after is None:
        names = ["read_bulk", "has_parked", "skips"]
    rows, ((any_parked,),), skipped, *ahead = await link.fetch_all(
        [(statement(name), bound) for name in names]
    )
    bulk_ahead = bool(ahead) and bool(ahead[0][0][0])
    events = [Event._make(row) for row in rows]
    read_to = events[-1].i_event if len(events) == limit else upto
    if events and any_parked:
        found = {(event.entity, event.entity_id) for event in events}
        bound["entities"], bound["entity_ids"] = (list(part) for part in zip(*found, strict=True))
        bound["upto"] = read_to
        keys, numbers = await link.fetch_all(
            [(statement("parked_entities"), bound), (statement("parked_between"), bound)]
        )
        parked = {(entity, entity_id): waiter for entity, entity_id, waiter in keys}
        already = frozenset(n for (n,) in numbers)
        return Batch(events, read_to, parked, dict(skipped), already, bulk_ahead)
    return Batch(events, read_to, {}, dict(skipped), frozenset(), bulk_ahead)


async def behind_bulk(
    link: Link, i_handler: int, events: Collection[Event], after: Mapping[int, int]
) -> frozenset[int]:
    """Events with a bulk event of their entity before them that is not read yet."""
    asked = [
        {"i_event": e.i_event, "entity": e.entity, "entity_id": e.entity_id, "after": read_to}
        for e in events
        if (read_to := after.get(e.lane + BULK_FROM)) is not None
    ]
    bound = {"i_handler": i_handler, "asked": orjson.dumps(asked).decode()}
    return frozenset(n for (n,) in await link.fetch(statement("behind_bulk"), bound))


async def due(
    link: Link,
    i_handler: int,
    now_us: int,
    upto_us: int,
    limit: int,
    exclude: Collection[int],
    lanes: Collection[int],
) -> DueEvents:
    """Parked events due up to `upto_us`, and the next due time after `now_us`."""
    bound: dict[str, Any] = {
        "i_handler": i_handler,
        "now_us": now_us,
        "upto_us": upto_us,
        "limit": limit,
        "exclude": list(exclude),
        "lanes": listed(lanes, ALL_LANES),
    }
    rows, ((following,),) = await link.fetch_all(
        [(statement("due"), bound), (statement("next_due"), bound)]
    )
    events = [ParkedEvent(Event._make(row[:_EVENT_FIELDS]), *row[_EVENT_FIELDS:]) for row in rows]
    numbers = [row.event.i_event for row in events]
    asked = await skips(link, i_handler, min(numbers) - 1, max(numbers)) if numbers else {}
    return DueEvents(events, following, asked)


async def skips(link: Link, i_handler: int, after: int, upto: int) -> dict[int, str]:
    """Events that an operator asked to skip: i_event → reason."""
    bound = {"i_handler": i_handler, "after": after, "upto": upto}
    return dict(await link.fetch(statement("skips"), bound))


def listed(lanes: Collection[int], all_are: int = LANES) -> list[int] | None:
    """Lanes as a statement takes them; None for all of them, which needs no looking."""
    return None if len(lanes) == all_are else list(lanes)
