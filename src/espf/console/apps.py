"""Django app of the console."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from django.apps import AppConfig, apps
from django.conf import settings

from espf.clock import SystemClock
from espf.database_url import DatabaseUrl
from espf.eventlog import engines
from espf.eventlog.operations import Operations
from espf.metrics.reading import VitalsReader
from espf.registry.storage import database_url


class ConsoleConfig(AppConfig):
    """Login, dashboard, details of events."""

    name = "espf.console"
    label = "espf_console"
    reader: tuple[DatabaseUrl, VitalsReader] | None = None
    """Of the database that Django is on; it remembers who lives and what is open since when."""


def vitals_reader() -> VitalsReader:
    """Reads the vitals of the database that Django is on, for all who ask of this process."""
    app, url = apps.get_app_config("espf_console"), database_url()
    assert isinstance(app, ConsoleConfig)
    if app.reader is None or app.reader[0] != url:
        clock = SystemClock()
        opened = partial(engines.open_operations, url, clock)
        app.reader = (url, VitalsReader(opened, clock, settings.LEASE_S))
    return app.reader[1]


@contextmanager
def open_operations() -> Iterator[Operations]:
    """The event log of the database that Django is on. Raises StorageError."""
    with engines.open_operations(database_url(), SystemClock()) as operations:
        yield operations
