"""Opens the event log of either engine: the only place that knows both. Drivers load when used."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from espf.clock import Clock
from espf.database_url import DatabaseUrl, SqliteUrl
from espf.eventlog.operating.operations import SessionOperations
from espf.eventlog.operating.register import SessionRegister
from espf.eventlog.operating.session import Session
from espf.eventlog.operations import Operations
from espf.eventlog.port import EventLog


def open_log(url: DatabaseUrl, clock: Clock, token: str = "") -> EventLog:
    """Open the event log for an engine, whose token it is.

    Raises StorageError if the database is missing or of another version.
    """
    if isinstance(url, SqliteUrl):
        from espf.eventlog.sqlite.log import SqliteEventLog  # noqa: PLC0415

        return SqliteEventLog(url.path.absolute(), clock)
    from espf.eventlog.postgres.log import PostgresEventLog  # noqa: PLC0415

    return PostgresEventLog(url, clock, token)


def open_session(url: DatabaseUrl) -> Session:
    """Open a connection for an operator's command. Raises StorageError."""
    if isinstance(url, SqliteUrl):
        from espf.eventlog.sqlite.session import SqliteSession  # noqa: PLC0415

        return SqliteSession(url.path.absolute())
    from espf.eventlog.postgres.session import PostgresSession  # noqa: PLC0415

    return PostgresSession(url)


@contextmanager
def open_register(url: DatabaseUrl) -> Iterator[SessionRegister]:
    """Open the register of the key's fingerprint. Raises StorageError."""
    session = open_session(url)
    try:
        yield SessionRegister(session)
    finally:
        session.close()


@contextmanager
def open_operations(url: DatabaseUrl, clock: Clock) -> Iterator[Operations]:
    """Open the event log for an operator. Raises StorageError."""
    operations = SessionOperations(open_session(url), clock)
    try:
        yield operations
    finally:
        operations.close()


def translated(url: DatabaseUrl) -> AbstractContextManager[None]:
    """Turn the driver's errors into StorageError with what, where and how to mend it."""
    if isinstance(url, SqliteUrl):
        from espf.eventlog.sqlite import connection as sqlite  # noqa: PLC0415

        return sqlite.translated(url.path.absolute())
    from espf.eventlog.postgres import connection as postgres  # noqa: PLC0415

    return postgres.translated(url)
