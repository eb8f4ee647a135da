"""Builds the search for pairs of event and handler from a filter; every value is bound."""

from typing import Any

from espf.clock import utc_text
from espf.eventlog.model import AttemptRow
from espf.eventlog.operating.session import Session
from espf.eventlog.operations import EventFilter, EventStatus
from espf.eventlog.statements import as_written
from espf.events.model import Event

_EVENT_FIELDS = len(Event._fields)


def find(
    session: Session,
    wanted: EventFilter,
    limit: int,
    *,
    before: int | None = None,
    after: int | None = None,
) -> list[EventStatus]:
    """Pairs that fit: newest first, or oldest first when `after` is given."""
    conditions, bound = _conditions(session, wanted)
    if before is not None:
        conditions.append("e.i_event < :before")
        bound["before"] = before
    if after is not None:
        conditions.append("e.i_event > :after")
        bound["after"] = after
    direction = "DESC" if after is None else "ASC"
    statuses = as_written(session.dialect)["statuses"]
    query = (
        f"SELECT * FROM ({statuses} WHERE {' AND '.join(conditions)})"  # noqa: S608 - our own words; values are bound
        f" AS found WHERE {_status_condition(session, wanted, bound)}"
        f" ORDER BY i_event {direction}, name LIMIT :limit"
    )
    bound["limit"] = limit
    return [_status(row) for row in session.query(query, bound)]


def _conditions(session: Session, wanted: EventFilter) -> tuple[list[str], dict[str, Any]]:
    conditions, bound = ["1 = 1"], dict[str, Any]()
    for name, column, values in (
        ("i_events", "e.i_event", wanted.i_events),
        ("event_types", "e.event_type", wanted.event_types),
    ):
        if values is not None:
            condition, bound[name] = session.one_of(column, name, list(values))
            conditions.append(condition)
    for name, column, value in (
        ("handler", "h.name =", wanted.handler),
        ("entity", "e.entity =", wanted.entity),
        ("entity_id", "e.entity_id =", wanted.entity_id),
        ("since", "e.event_time >=", _time(wanted.since_us)),
        ("until", "e.event_time <=", _time(wanted.until_us)),
    ):
        if value is not None:
            conditions.append(f"{column} :{name}")
            bound[name] = value
    return conditions, bound


def _time(time_us: int | None) -> str | None:
    return None if time_us is None else utc_text(time_us)


def _status_condition(session: Session, wanted: EventFilter, bound: dict[str, Any]) -> str:
    if wanted.statuses is None:
        return "status IS NOT NULL"
    condition, bound["statuses"] = session.one_of("status", "statuses", list(wanted.statuses))
    return condition


def _status(row: tuple[Any, ...]) -> EventStatus:
    return EventStatus(event_of(row[:_EVENT_FIELDS]), *row[_EVENT_FIELDS:])


def event_of(row: tuple[Any, ...]) -> Event:
    """An event from a row with the columns in the order of its fields."""
    return Event._make(row)._replace(has_sim=bool(row[8]))


def attempts_of(session: Session, i_event: int) -> list[AttemptRow]:
    """Every attempt at the event by any handler, oldest first."""
    rows = session.run("attempts_of", {"i_event": i_event})
    return [AttemptRow._make(row) for row in rows]
