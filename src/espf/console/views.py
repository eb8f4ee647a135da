"""Pages: the dashboard, and one event with everything that was tried."""

import json
import sys
from importlib import resources
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.http import require_safe

from espf.clock import utc_text
from espf.console.apps import open_operations, vitals_reader
from espf.errors import StorageError
from espf.eventlog.model import AttemptRow
from espf.eventlog.operations import EventFilter, EventStatus, HandlerHealth

NEWEST = 25
REFRESH_S = 10


@require_safe
@never_cache
def dashboard(request: HttpRequest) -> HttpResponse:
    """How the handlers are doing, and the newest events."""
    with open_operations() as operations:
        health = operations.health()
        newest = operations.events(EventFilter(), NEWEST)
        oldest = vitals_reader().oldest_writer(operations)
    context = {
        "held": oldest if oldest is not None and oldest.is_held else None,
        "handlers": [_handler(one) for one in health],
        "events": [_event(one) for one in newest],
        "refresh_s": REFRESH_S,
    }
    return render(request, "console/dashboard.html", context)


@require_safe
@never_cache
def event(request: HttpRequest, i_event: int) -> HttpResponse:
    """One event: its variables, its standing with each handler, every attempt."""
    if i_event >= 2**63:
        raise Http404
    with open_operations() as operations:
        details = operations.details(i_event)
        names = {row.i_handler: row.name for row in operations.handlers()}
    if details is None:
        raise Http404
    context = {
        "event": details.event,
        "variables": _pretty(details.event.variables),
        "statuses": [_event(one) for one in details.statuses],
        "attempts": [_attempt(one, names) for one in details.attempts],
    }
    return render(request, "console/event.html", context)


@login_not_required
@cache_control(max_age=3600)
@require_safe
def style(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - Django's call
    """The style sheet."""
    text = resources.files("espf.console").joinpath("style.css").read_text("utf-8")
    return HttpResponse(text, content_type="text/css; charset=utf-8")


def failed(request: HttpRequest) -> HttpResponse:
    """Say that the database is away, or that this is a bug; the log has the details."""
    away = isinstance(sys.exc_info()[1], StorageError | DatabaseError)
    context = {"away": away, "no_user": True}  # whose login is in the database that may be away
    return render(request, "console/failed.html", context, status=503 if away else 500)


def _handler(one: HandlerHealth) -> dict[str, Any]:
    row = one.handler
    return {
        "name": row.name,
        "type": row.type,
        "enabled": row.enabled,
        "paused": row.paused,
        "breaker": one.breaker,
        "backlog": one.backlog_shown,
        "parked": one.parked,
        "reason": one.last_reason,
    }


def _event(one: EventStatus) -> dict[str, Any]:
    return {
        **one.event._asdict(),
        "handler": one.handler,
        "status": one.status,
        "attempts": one.attempts,
        "due": utc_text(one.due_us) if one.due_us and one.status == "retry" else "",
        "code": one.code,
        "reason": one.reason,
    }


def _attempt(one: AttemptRow, names: dict[int, str]) -> dict[str, Any]:
    return {
        **one._asdict(),
        "handler": names.get(one.i_handler, str(one.i_handler)),
        "started": utc_text(one.started_us),
        "took_ms": one.duration_us / 1000,
    }


def _pretty(variables: str) -> str:
    try:
        return json.dumps(json.loads(variables), indent=2, ensure_ascii=False)
    except ValueError:
        return variables
