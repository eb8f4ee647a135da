"""The engine's one writing connection: statements on the loop, waiting in a thread.

What waits for a disk or for another writer happens in a thread: BEGIN IMMEDIATE when the write lock
is taken, and COMMIT with its fsync. The statements between run on the event loop, a few
milliseconds at most: handing them to a thread as well costs more than they do, because two threads
then fight for Python's lock at every event (measured: 16.4 us of CPU for each event against 11.3).
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from espf.eventlog.sqlite.connection import BUSY_TIMEOUT_S, connect, translated

_Result = TypeVar("_Result")


class Writer:
    """Runs one transaction after the other. Used from one event loop."""

    def __init__(self, path: Path) -> None:
        """Raises StorageError if the file is missing or of another version."""
        self._path = path
        self.connection = connect(path)
        self.connection.execute("PRAGMA busy_timeout = 0")
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="espf-write")
        self._turn = asyncio.Lock()

    async def run(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """Commit what `work` does, or nothing of it if it raises. Raises StorageError.

        Cancelled, it ends when the step that waits has ended: the transaction is then committed
        whole or rolled back.
        """
        async with self._turn:
            with translated(self._path):
                await self._begin()
                try:
                    result = work(self.connection)
                    await self._wait_for(lambda: self.connection.execute("COMMIT"))
                except BaseException:
                    if self.connection.in_transaction:
                        self.connection.execute("ROLLBACK")
                    raise
            return result

    async def close(self) -> None:
        """Let the thread finish and close the connection."""
        await asyncio.to_thread(self._thread.shutdown)
        self.connection.close()

    async def _begin(self) -> None:
        try:
            self.connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            await self._wait_for(self._begin_patiently)

    def _begin_patiently(self) -> None:
        """Wait in line behind another writer, as long as any of our writers does."""
        self.connection.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_S * 1000)}")
        try:
            self.connection.execute("BEGIN IMMEDIATE")
        finally:
            self.connection.execute("PRAGMA busy_timeout = 0")

    async def _wait_for(self, step: Callable[[], object]) -> None:
        running = asyncio.get_running_loop().run_in_executor(self._thread, step)
        try:
            await asyncio.shield(running)
        except asyncio.CancelledError:
            await asyncio.wait([running])
            if running.exception() is None and self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise
