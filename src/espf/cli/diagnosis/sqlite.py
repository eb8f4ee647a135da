"""Checks of an SQLite file, its folder and its engine."""

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from espf.cli.diagnosis.finding import Finding, ok, warn, wrong
from espf.cli.diagnosis.triggers import check_triggers
from espf.database_url import SqliteUrl
from espf.enginelock import engine_pid
from espf.errors import StorageError
from espf.eventlog.sqlite.connection import connect, transaction, translated

ENOUGH_BYTES = 1_000_000_000
LITTLE_BYTES = 100_000_000
_BUSY_MS = 2000


def check_file(url: SqliteUrl) -> Iterator[Finding]:
    """File, version, journal, room, triggers. Ends at the first thing that prevents the others."""
    path = url.path.absolute()
    try:
        connection = connect(path)
    except StorageError as error:
        yield wrong("database", str(error))
        return
    try:
        yield ok("database", f"{path} is of this version.")
        yield from _writing(connection, path)
        yield check_triggers(connection)
    finally:
        connection.close()
    yield _room(path)


def _writing(connection: sqlite3.Connection, path: Path) -> Iterator[Finding]:
    connection.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
    try:
        with translated(path), transaction(connection):
            # Read-only is noticed only when something is written; this row stays as it is.
            connection.execute("UPDATE espf_meta SET value = value WHERE name = 'schema_version'")
        yield ok("writing", "The database can be written.")
    except StorageError as error:
        yield wrong("writing", str(error))
    mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
    full = connection.execute("PRAGMA synchronous").fetchone()[0] == 2
    if mode == "wal" and full:
        yield ok("journal", "Write-ahead log, synchronous=FULL.")
    else:
        yield wrong(
            "journal",
            f"journal_mode is {mode}, synchronous is {'FULL' if full else 'not FULL'}.",
            "Put the database on a local disk whose file system supports shared memory.",
        )


def _room(path: Path) -> Finding:
    free = shutil.disk_usage(path.parent).free
    message = f"{free / 1e9:.1f} GB are free on the disk of {path.parent}."
    if free < LITTLE_BYTES:
        return wrong("disk", message, "Free some space before the database stops.")
    return ok("disk", message) if free >= ENOUGH_BYTES else warn("disk", message, "Free some.")


def check_engine(url: SqliteUrl, needed: bool) -> Finding:
    """Whether an engine runs; wrong if a handler needs one."""
    pid = engine_pid(url.path.absolute())
    if pid is not None:
        return ok("engine", f"An engine runs: process {pid or 'unknown'}.")
    mend = "Start `espf serve`, or `espf instance` for the engine alone."
    if needed:
        return wrong("engine", "No engine runs: nothing is delivered.", mend)
    return warn("engine", "No engine runs.", mend)
