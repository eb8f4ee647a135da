"""Checks of the database file, its folder and its key."""

import shutil
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

from espf.capture.install import is_current
from espf.cli.diagnosis.finding import Finding, ok, warn, wrong
from espf.config import Config
from espf.database_url import DatabaseUrl, SqliteUrl
from espf.enginelock import engine_pid
from espf.errors import StorageError
from espf.eventlog.sqlite.connection import connect, transaction, translated
from espf.secrets import KEY_VARIABLE, default_key_file

ENOUGH_BYTES = 1_000_000_000
LITTLE_BYTES = 100_000_000
_BUSY_MS = 2000


def check_database(url: DatabaseUrl) -> Iterator[Finding]:
    """File, version, journal, room, triggers. Ends at the first thing that prevents the others."""
    assert isinstance(url, SqliteUrl)
    path = url.path.absolute()
    try:
        connection = connect(path)
    except StorageError as error:
        yield wrong("database", str(error))
        return
    try:
        yield ok("database", f"{path} is of this version.")
        yield from _writing(connection, path)
        yield from _triggers(connection)
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


def _triggers(connection: sqlite3.Connection) -> Iterator[Finding]:
    if is_current(connection):
        yield ok("triggers", "The capture triggers are installed and current.")
    else:
        yield wrong(
            "triggers",
            "The capture triggers are missing or of another release: changes may raise no events.",
            "Run `espf migrate`.",
        )


def _room(path: Path) -> Finding:
    free = shutil.disk_usage(path.parent).free
    message = f"{free / 1e9:.1f} GB are free on the disk of {path.parent}."
    if free < LITTLE_BYTES:
        return wrong("disk", message, "Free some space before the database stops.")
    return ok("disk", message) if free >= ENOUGH_BYTES else warn("disk", message, "Free some.")


def check_key(config: Config) -> Finding:
    """Where the key comes from, and that nobody else can read it."""
    if config.secret_key is not None:
        return ok("key", f"The key that encrypts secrets comes from {KEY_VARIABLE}.")
    path = config.secret_key_file or default_key_file(config.database)
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return warn("key", f"There is no key file {path} yet; it is made at first use.")
    except OSError as error:
        return wrong("key", f"The key file {path} cannot be read: {error.strerror}.")
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        return wrong("key", f"Others can reach the key file {path}.", f"Run `chmod 600 {path}`.")
    return ok("key", f"The key file {path} is for its owner alone.")


def check_engine(url: DatabaseUrl, needed: bool) -> Finding:
    """Whether an engine runs; wrong if a handler needs one."""
    assert isinstance(url, SqliteUrl)
    pid = engine_pid(url.path.absolute())
    if pid is not None:
        return ok("engine", f"An engine runs: process {pid or 'unknown'}.")
    mend = "Start `espf serve`, or `espf instance` for the engine alone."
    if needed:
        return wrong("engine", "No engine runs: nothing is delivered.", mend)
    return warn("engine", "No engine runs.", mend)
