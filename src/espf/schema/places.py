"""What migrating asks of each engine: is there room for a database, is nobody else at it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Protocol

from django.db import connection, transaction

from espf.database_url import DatabaseUrl, PostgresUrl, SqliteUrl
from espf.errors import StorageError

MIGRATION_LOCK = 0x45535046  # "ESPF"
"""Key of the advisory lock on PostgreSQL."""

# Tables of an extension are nobody's work.
_POSTGRES_TABLES = """
SELECT c.relname FROM pg_class AS c
WHERE c.relkind IN ('r', 'p') AND pg_table_is_visible(c.oid)
  AND c.relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
  AND NOT EXISTS (SELECT 1 FROM pg_depend AS d
    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
"""


class Place(Protocol):
    """Where a database is, or is to be."""

    url: DatabaseUrl
    own: str
    """What somebody should name instead of another program's."""

    def check(self) -> None:
        """Raise StorageError if no database can be there; before Django connects."""

    def alone(self) -> AbstractContextManager[None]:
        """Hold back other migrations; ends with the process, however that ends."""

    def one_step(self) -> AbstractContextManager[None]:
        """All of it is done, or nothing, where the engine can."""

    def tables(self) -> set[str]:
        """Tables that are there, by Django's connection."""


class SqlitePlace:
    """A file."""

    own = "a file"

    def __init__(self, url: SqliteUrl) -> None:
        self.url: DatabaseUrl = url
        self._path = url.path

    def check(self) -> None:
        """The folder must be there, and the file must not be a folder."""
        if not self._path.parent.is_dir():
            raise StorageError(
                f"The folder {self._path.parent} for the database does not exist. Make it, or name "
                "another in ESPF_DATABASE_URL."
            )
        if self._path.is_dir():
            raise StorageError(f"{self._path} is a folder. Name a file in ESPF_DATABASE_URL.")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """By a lock on the folder."""
        descriptor = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            self._make_private()
            yield
        finally:
            os.close(descriptor)

    def _make_private(self) -> None:
        """Subscribers' data: a new file is for its owner only; SQLite gives its log the same."""
        with suppress(OSError):  # it exists, or cannot be made: SQLite says what is wrong, and how
            os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))

    def one_step(self) -> AbstractContextManager[None]:
        """Each migration alone: SQLite rebuilds tables with foreign keys off, outside of any."""
        return nullcontext()

    def tables(self) -> set[str]:
        """None while there is no file."""
        return set(connection.introspection.table_names()) if self._path.exists() else set()


class PostgresPlace:
    """A database on a server; whoever owns it has made it."""

    own = "a database"

    def __init__(self, url: PostgresUrl) -> None:
        self.url: DatabaseUrl = url
        self._postgres = url

    def check(self) -> None:
        """The server must answer and be of a supported release."""
        from espf.eventlog.postgres.connection import connect  # noqa: PLC0415 - the driver is heavy

        connect(self._postgres, "espf migrate", checked=False).close()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """By an advisory lock of the connection that migrates: both are lost together."""
        with connection.cursor() as cursor:
            # As long as it takes: another migration of a large table, or this one.
            cursor.execute("SET statement_timeout = 0; SET lock_timeout = 0")
            cursor.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])
            cursor.execute("RESET lock_timeout")
        try:
            yield
        finally:
            connection.close()  # with it go lock and settings

    def one_step(self) -> AbstractContextManager[None]:
        """One transaction: who writes meanwhile waits, and finds the new triggers."""
        return transaction.atomic()

    def tables(self) -> set[str]:
        """In the schemas that the user's search path names."""
        with connection.cursor() as cursor:
            cursor.execute(_POSTGRES_TABLES)
            return {name for (name,) in cursor.fetchall()}


def place_of(url: DatabaseUrl) -> Place:
    """The place that an absolute address names."""
    return SqlitePlace(url) if isinstance(url, SqliteUrl) else PostgresPlace(url)
