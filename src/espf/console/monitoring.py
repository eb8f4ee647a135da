"""What monitoring asks of the web side: metrics of the whole fleet, health, readiness."""

from collections.abc import Callable

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from espf.console.apps import vitals_reader
from espf.errors import ConfigError, StorageError
from espf.metrics.access import may_read
from espf.metrics.exposition import fleet_page
from espf.metrics.reading import Reading


@login_not_required
@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Counters of every living instance, and what the database shows."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    if not may_read(str(request.META.get("REMOTE_ADDR", "")), headers, settings.METRICS_TOKEN):
        advice = "For this machine itself, or with the token: Authorization: Bearer TOKEN.\n"
        return HttpResponse(advice, "text/plain", status=403)
    page = fleet_page(_reading(), headers.get("accept", ""))
    return HttpResponse(page.body, page.content_type)


def _reading() -> Reading | None:
    try:
        return vitals_reader().read()
    except StorageError:
        return None


@login_not_required
@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - Django's call
    """The process answers."""
    return HttpResponse("ok\n", "text/plain")


@login_not_required
@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - Django's call
    """The database is of this version and the key is there; 503 otherwise.

    It says which part fails and not why: a message may name paths, and anybody may ask.
    """
    parts = {"database": _works(vitals_reader().check), "key": _works(_use_key)}
    body = "".join(f"{name}: {'ok' if well else 'failed'}\n" for name, well in parts.items())
    return HttpResponse(body, "text/plain", status=200 if all(parts.values()) else 503)


def _works(part: Callable[[], object]) -> bool:
    try:
        part()
    except (StorageError, ConfigError):
        return False
    return True


def _use_key() -> str:
    return str(settings.SECRET_KEY)  # reads the key's file each time
