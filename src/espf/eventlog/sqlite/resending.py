"""Sends events again, or ends them as skipped, in portions so that no lock is held for long."""

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from espf.eventlog.operations import EventFilter, EventStatus
from espf.eventlog.sqlite import searching
from espf.eventlog.sqlite.storing import require
from espf.eventlog.statements import statements

_SQL = statements("sqlite")
PORTION = 500

Changing = Callable[[], AbstractContextManager[sqlite3.Connection]]


def in_portions(
    changing: Changing,
    wanted: EventFilter,
    change: Callable[[sqlite3.Connection, list[EventStatus]], int],
) -> int:
    """Apply `change` to everything that fits, 500 pairs a transaction; returns how many changed."""
    changed, after = 0, 0
    while True:
        with changing() as connection:
            if wanted.handler is not None:
                require(connection, wanted.handler)
            found = searching.find(connection, wanted, PORTION, after=after)
            whole = _whole_events(found)
            changed += change(connection, whole)
        if len(found) < PORTION:
            return changed
        after = whole[-1].event.i_event


def _whole_events(found: list[EventStatus]) -> list[EventStatus]:
    """Leave an event to the next portion if this one may have cut off some of its handlers."""
    if len(found) < PORTION:
        return found
    last = found[-1].event.i_event
    return [one for one in found if one.event.i_event < last] or found


def retry(connection: sqlite3.Connection, found: list[EventStatus], now_us: int) -> int:
    """Waiting retries become due now; settled events are parked anew and due at once."""
    changed = 0
    for one in found:
        bound = {**_bound(one), "now_us": now_us, "attempts": one.attempts}
        if one.status == "retry":
            changed += connection.execute(_SQL["due_now"], bound).rowcount
        elif one.status in {"failed", "finished", "skipped"}:
            # A wish to skip it that came too late must not meet it now.
            connection.execute(_SQL["skip_done"], bound)
            changed += connection.execute(_SQL["send_again"], bound).rowcount
    connection.execute(_SQL["bump_config_version"])
    return changed


def skip(connection: sqlite3.Connection, found: list[EventStatus], reason: str, now_us: int) -> int:
    """Parked events leave at once; those in their lane are skipped when they are reached."""
    changed = 0
    for one in found:
        if one.status not in {"queued", "retry"}:
            continue
        bound = {**_bound(one), "reason": reason, "now_us": now_us}
        if connection.execute(_SQL["skip_parked"], bound).rowcount:
            _record_skip(connection, one, reason, now_us)
            connection.execute(_SQL["activate_next"], bound)
            changed += 1
        else:
            changed += connection.execute(_SQL["ask_skip"], bound).rowcount
    connection.execute(_SQL["bump_config_version"])
    return changed


def _record_skip(
    connection: sqlite3.Connection, one: EventStatus, reason: str, now_us: int
) -> None:
    values = (one.i_handler, one.event.i_event, 0, "skipped", "skipped", now_us, 0, None, reason)
    row = (*values, "", "", "")
    marks = ", ".join("?" * len(row))
    connection.execute(f"{_SQL['record_attempts']} ({marks})", row)


def _bound(one: EventStatus) -> dict[str, Any]:
    return {
        "i_handler": one.i_handler,
        "i_event": one.event.i_event,
        "entity": one.event.entity,
        "entity_id": one.event.entity_id,
    }


def sendable(wanted: EventFilter) -> EventFilter:
    """The filter for `retry`: without ids and statuses it means failed events only."""
    if wanted.i_events is None and wanted.statuses is None:
        return replace(wanted, statuses=("failed",))
    return wanted
