"""Events and attempts as `--json` prints them."""

import json
from collections.abc import Mapping
from typing import Any

from espf.cli.output import when
from espf.eventlog.model import AttemptRow
from espf.eventlog.operations import EventStatus
from espf.events.model import Event


def event_record(event: Event) -> dict[str, Any]:
    """An event with its variables."""
    return {
        "i_event": event.i_event,
        "i_env": event.i_env,
        "event_type": event.event_type,
        "entity": event.entity,
        "entity_id": event.entity_id,
        "event_time": event.event_time,
        "variables": variables(event),
        "caused_by": event.caused_by,
    }


def status_record(one: EventStatus) -> dict[str, Any]:
    """An event as one handler sees it."""
    return event_record(one.event) | {
        "handler": one.handler,
        "status": one.status,
        "attempts": one.attempts,
        "next_attempt": when(one.due_us),
        "outcome": one.outcome,
        "code": one.code,
        "reason": one.reason,
        "last_attempt": when(one.last_us),
    }


def attempt_record(row: AttemptRow, names: Mapping[int, str]) -> dict[str, Any]:
    """One attempt; `names` are the handlers'."""
    return {
        "i_event": row.i_event,
        "handler": names.get(row.i_handler, str(row.i_handler)),
        "attempt": row.attempt,
        "outcome": row.outcome,
        "status": row.status,
        "started": when(row.started_us),
        "started_us": row.started_us,
        "duration_ms": row.duration_us / 1000,
        "code": row.code,
        "reason": row.reason,
        "request": row.request,
        "answer": row.answer,
        "instance": row.instance,
    }


def variables(event: Event) -> object:
    """The type's own variables; text that is no JSON, put there by some other writer, as it is."""
    try:
        return json.loads(event.variables)
    except ValueError:
        return event.variables
