"""Opens the database file and translates SQLite's errors, here and nowhere else."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from espf.errors import StorageError, StorageRefused
from espf.eventlog.statements import statements
from espf.eventlog.version import check_version

BUSY_TIMEOUT_S = 30.0
_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "temp_store=MEMORY")

_ADVICE = {
    "SQLITE_BUSY": "another program held the write lock for 30 s; end it, or try again",
    "SQLITE_FULL": "the disk is full; free some space, nothing that was acknowledged is lost",
    "SQLITE_READONLY": "the file or its folder is read-only; give this user the right to write it",
    "SQLITE_CANTOPEN": "the file or its folder cannot be opened; check the path and its rights",
    "SQLITE_NOTADB": "the file is not an SQLite database; check ESPF_DATABASE_URL",
    "SQLITE_CORRUPT": "the file is damaged; restore it from a backup",
    "SQLITE_IOERR": "the disk failed to read or write; check it and the space left on it",
}


def connect(path: Path) -> sqlite3.Connection:
    """Open an existing database file in autocommit mode.

    Raises StorageError if it is missing, unreadable, not ours, or of another version.
    """
    if not path.exists():
        raise StorageError(f"There is no database at {path}. `espf migrate` makes it.")
    with translated(path):
        connection = sqlite3.connect(
            path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        try:
            for pragma in _PRAGMAS:
                connection.execute(f"PRAGMA {pragma}")
            _check_version(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    try:
        row = connection.execute(statements("sqlite")["schema_version"]).fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise
        row = None
    check_version(None if row is None else row[0], str(path))


@contextmanager
def translated(path: Path | str) -> Iterator[None]:
    """Turn sqlite3's errors into StorageError with what, where and how to mend it."""
    try:
        yield
    except sqlite3.Error as error:
        raise storage_error(error, path) from error


def storage_error(error: sqlite3.Error, path: Path | str) -> StorageError:
    """What the operator is told about an error of SQLite."""
    name = getattr(error, "sqlite_errorname", None) or ""
    advice = next((text for key, text in _ADVICE.items() if name.startswith(key)), None)
    detail = f"{error}" + (f" ({advice})" if advice else "")
    kind = StorageRefused if isinstance(error, sqlite3.IntegrityError) else StorageError
    return kind(f"Database {path}: {detail}.")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """BEGIN IMMEDIATE … COMMIT; rolled back whole if anything inside fails."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
