"""FreeRADIUS's tables in an SQLite file, which radiusd has open as well.

Everything runs in one thread, in turn: a call that is cancelled ends there before the next begins.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from espf.handlers.contract.failures import NotNow, Refused
from espf.handlers.free_radius.asking import Question, Rows, as_written

_Result = TypeVar("_Result")
_BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED")
_BAD_DATA = ("SQLITE_CONSTRAINT", "SQLITE_TOOBIG", "SQLITE_MISMATCH")
_ADVICE = {
    "SQLITE_BUSY": "another program holds its lock",
    "SQLITE_FULL": "the disk is full; free some space",
    "SQLITE_READONLY": "give the user of espf the right to write the file and its folder",
    "SQLITE_CANTOPEN": "check the path in FreeRADIUS.DatabaseURL, and its rights",
    "SQLITE_NOTADB": "the file is not an SQLite database; check FreeRADIUS.DatabaseURL",
    "SQLITE_ERROR": "is it FreeRADIUS's database, with the tables of its schema.sql?",
}


class SqliteRadius:
    """Opens when first used."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        """`timeout_s`: how long to wait for whoever holds the file's lock."""
        self.shown = f"FreeRADIUS's database {path}"
        self._path = path
        self._timeout_s = timeout_s
        self._connection: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="espf-radius")

    async def ask(self, *wanted: Question) -> list[Rows]:
        """Rows of each statement."""

        def work(connection: sqlite3.Connection) -> list[Rows]:
            return [_run(connection, one).fetchall() for one in wanted]

        return await self._in_thread(work)

    async def change(self, wanted: Sequence[Question]) -> None:
        """All of them or none."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("BEGIN IMMEDIATE")
            try:
                for one in wanted:
                    _run(connection, one)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

        await self._in_thread(work)

    async def close(self) -> None:
        """Wait for the thread and close the file."""
        await asyncio.to_thread(self._thread.shutdown)
        if self._connection is not None:
            self._connection.close()

    async def _in_thread(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        def run() -> _Result:
            return work(self._open())

        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, run)
        except sqlite3.Error as error:
            raise self._translated(error) from None

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            # mode=rw: a path that is wrong must not make an empty database.
            self._connection = sqlite3.connect(
                f"file:{quote(str(self._path))}?mode=rw",
                uri=True,
                timeout=self._timeout_s,
                isolation_level=None,
                check_same_thread=False,
            )
        return self._connection

    def _translated(self, error: sqlite3.Error) -> NotNow | Refused:
        """Whatever it is, nothing was committed."""
        name = getattr(error, "sqlite_errorname", None) or ""
        advice = next((text for key, text in _ADVICE.items() if name.startswith(key)), None)
        told = f"{self.shown}: {error}" + (f" ({advice})" if advice else "")
        if name.startswith(_BAD_DATA):
            return Refused(told)
        return NotNow(told, refused=not name.startswith(_BUSY))


def _run(connection: sqlite3.Connection, asked: Question) -> sqlite3.Cursor:
    return connection.execute(as_written()[asked.name], asked.bound)
