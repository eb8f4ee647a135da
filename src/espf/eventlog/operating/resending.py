"""Sends events again, or ends them as skipped, in portions so that no lock is held for long."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from espf.eventlog.operating.search.finding import find
from espf.eventlog.operating.session import Session
from espf.eventlog.operating.storing import require
from espf.eventlog.operations import EventFilter, EventStatus

PORTION = 500


def in_portions(
    session: Session,
    wanted: EventFilter,
    change: Callable[[list[EventStatus]], int],
) -> int:
    """Apply `change` to everything that fits, 500 pairs a transaction; returns how many changed."""
    changed, after = 0, 0
    while True:
        with session.changing():
            if wanted.handler is not None:
                require(session, wanted.handler)
            found = find(session, wanted, PORTION, after=after)
            whole = _whole_events(found)
            changed += change(whole)
        if len(found) < PORTION:
            return changed
        after = whole[-1].event.i_event


def _whole_events(found: list[EventStatus]) -> list[EventStatus]:
    """Leave an event to the next portion if this one may have cut off some of its handlers."""
    if len(found) < PORTION:
        return found
    last = found[-1].event.i_event
    return [one for one in found if one.event.i_event < last] or found


def retry(session: Session, found: list[EventStatus], now_us: int) -> int:
    """Waiting retries become due now; settled events are parked anew and due at once."""
    changed = 0
    for one in found:
        bound = {**_bound(one), "now_us": now_us, "attempts": one.attempts}
        if one.status == "retry":
            changed += session.run("due_now", bound).rowcount
        elif one.status in {"failed", "finished", "skipped"}:
            # A wish to skip it that came too late must not meet it now.
            session.run("skip_done", bound)
            changed += session.run("send_again", bound).rowcount
    session.run("bump_config_version")
    return changed


def skip(session: Session, found: list[EventStatus], reason: str, now_us: int) -> int:
    """Parked events leave at once; those in their lane are skipped when they are reached."""
    changed = 0
    for one in found:
        if one.status not in {"queued", "retry"}:
            continue
        bound = {**_bound(one), "reason": reason, "now_us": now_us}
        if session.run("skip_parked", bound).rowcount:
            _record_skip(session, one, reason, now_us)
            session.run("activate_next", bound)
            changed += 1
        else:
            changed += session.run("ask_skip", bound).rowcount
    session.run("bump_config_version")
    return changed


def _record_skip(session: Session, one: EventStatus, reason: str, now_us: int) -> None:
    bound = {**_bound(one), "reason": reason, "now_us": now_us}
    session.run("record_skip", bound)


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
