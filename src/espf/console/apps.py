"""Django app of the console."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.apps import AppConfig

from espf.clock import SystemClock
from espf.eventlog import engines
from espf.eventlog.operations import Operations
from espf.registry.storage import database_url


class ConsoleConfig(AppConfig):
    """Login, dashboard, details of events."""

    name = "espf.console"
    label = "espf_console"


@contextmanager
def open_operations() -> Iterator[Operations]:
    """The event log of the database that Django is on. Raises StorageError."""
    with engines.open_operations(database_url(), SystemClock()) as operations:
        yield operations
