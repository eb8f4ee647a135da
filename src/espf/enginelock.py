"""One engine per SQLite file: a lock that the kernel gives back whatever happens to its holder."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from espf.database_url import DatabaseUrl, SqliteUrl
from espf.errors import StorageError

_TRIES = 10


def lock_path(database: Path) -> Path:
    """The lock's file, beside the database."""
    return database.with_name(f"{database.name}.engine.lock")


@contextmanager
def engine_lock(url: DatabaseUrl) -> Iterator[None]:
    """Be the only engine on an SQLite file while inside; on PostgreSQL there may be many.

    Raises StorageError that names the other engine's process if there is one, or why the lock's
    file cannot be used.
    """
    if not isinstance(url, SqliteUrl):
        yield
        return
    database = url.path.absolute()
    path = lock_path(database)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StorageError(
            f"The lock {path} cannot be opened: {error.strerror}. The database's folder must exist "
            "and this user must have the right to write it."
        ) from error
    try:
        if not _taken(descriptor):
            raise StorageError(_busy(database, _holder(path)))
        _sign(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def engine_pid(database: Path) -> int | None:
    """Process number of the running engine, None if none runs, 0 if it runs and is not known."""
    path = lock_path(database)
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        # A shared lock is refused while an engine runs, and hinders nobody else's question.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _holder(path)
    else:
        return None
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    for _ in range(_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.02)  # `engine_pid` of some other process may just be asking
        else:
            return True
    return False


def _sign(descriptor: int, path: Path) -> None:
    """Write who holds the lock."""
    try:
        os.truncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
    except OSError as error:
        raise StorageError(
            f"The lock {path} cannot be written: {error.strerror}. Free some space on its disk."
        ) from error


def _holder(path: Path) -> int:
    try:
        return int(path.read_text("ascii"))
    except (OSError, ValueError):
        return 0


def _busy(database: Path, pid: int) -> str:
    who = f"process {pid}" if pid else "another process"
    return (
        f"An engine is running on {database} already: {who}. One engine works on an SQLite file; "
        "stop that one first."
    )
