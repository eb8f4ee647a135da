"""Brings a database up to date: tables by Django's migrations, then the triggers.

Start Django with `espf.site.start.start` first, or let `migrate` do it.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from django.core.management import call_command
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

from espf.capture.install import install, is_current, remove
from espf.database_url import SqliteUrl, parse_database_url
from espf.errors import StorageError
from espf.eventlog.sqlite.connection import translated
from espf.eventlog.version import SCHEMA_VERSION
from espf.site.start import start


def migrate(url: str) -> list[str]:
    """Create or update the database; returns what was done, nothing if it was up to date.

    Two processes may call it at once. Raises ConfigError for a wrong address, StorageError for a
    database that cannot be written, is not ours or is of a newer release, CaptureError if the
    triggers cannot be made.
    """
    database = parse_database_url(url)
    assert isinstance(database, SqliteUrl)
    path = database.path.absolute()
    _check_place(path)
    start(database)
    # Alone from the first connection on: two that turn a new file to WAL at once do not wait.
    with _translated(path), _alone(path.parent):
        _make_private(path)
        _refuse_foreign(path)
        if not _pending() and is_current(_raw()):
            return []
        return _apply()


def _apply() -> list[str]:
    pending = _pending()
    if pending:
        # A table that is rebuilt is renamed, which fails while triggers of others speak of it.
        remove(_raw())
        call_command("migrate", verbosity=0, interactive=False)
    return [*(f"applied {name}" for name in pending), *install(_raw())]


def _pending() -> list[str]:
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label} {migration.name}" for migration, _ in plan]


def _raw() -> sqlite3.Connection:
    connection.ensure_connection()
    raw = connection.connection
    assert isinstance(raw, sqlite3.Connection)
    return raw


def _check_place(path: Path) -> None:
    if not path.parent.is_dir():
        raise StorageError(
            f"The folder {path.parent} for the database does not exist. Make it, or name another "
            "in ESPF_DATABASE_URL."
        )
    if path.is_dir():
        raise StorageError(f"{path} is a folder. Name a file in ESPF_DATABASE_URL.")


def _make_private(path: Path) -> None:
    """Subscribers' data: a new file is for its owner only; SQLite gives its log the same mode."""
    with suppress(OSError):  # it exists, or cannot be made: SQLite says what is wrong, and how
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _refuse_foreign(path: Path) -> None:
    if not path.exists():
        return
    tables = set(connection.introspection.table_names())
    if not tables:
        return
    if "django_migrations" not in tables:
        raise StorageError(
            f"The database {path} holds tables of another program. Name a file of its own for espf "
            "in ESPF_DATABASE_URL."
        )
    loader = MigrationLoader(connection)
    unknown = [f"{app} {name}" for app, name in loader.applied_migrations.keys() - known(loader)]
    if unknown or _schema_version(tables) > SCHEMA_VERSION:
        what = ", ".join(sorted(unknown)[:3]) or f"schema {_schema_version(tables)}"
        raise StorageError(
            f"The database {path} was written by a newer espf ({what}). "
            "Install that release, or restore a backup."
        )


def known(loader: MigrationLoader) -> set[tuple[str, str]]:
    """Migrations that this program has, those that a squashed one replaces included."""
    replaced = {
        name for migration in loader.disk_migrations.values() for name in migration.replaces
    }
    return set(loader.disk_migrations) | replaced


def _schema_version(tables: set[str]) -> int:
    if "espf_meta" not in tables:
        return 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT value FROM espf_meta WHERE name = 'schema_version'")
        row = cursor.fetchone()
    return int(row[0]) if row else 0


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold back other migrations by a lock on the folder; it ends with the process."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    with translated(path):
        try:
            yield
        except DatabaseError as error:
            if isinstance(error.__cause__, sqlite3.Error):
                raise error.__cause__ from error
            raise
