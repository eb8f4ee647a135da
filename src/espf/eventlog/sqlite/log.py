"""EventLog on SQLite: short reads and writes on the loop, whatever waits in a thread."""

import asyncio
import sqlite3
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from espf.clock import Clock
from espf.eventlog.model import (
    Batch,
    DueEvents,
    HandlerRow,
    HandlerState,
    LaneLease,
    Settlement,
    Standing,
)
from espf.eventlog.sqlite import reading, settling
from espf.eventlog.sqlite.connection import connect, storage_error, translated
from espf.eventlog.sqlite.writing import Writer
from espf.events.model import Event

_Result = TypeVar("_Result")


class SqliteEventLog:
    """EventLog (see the port) on one SQLite file.

    Raises StorageError when opened on a file that is missing or of another version.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._poll = connect(path)
        self._reader = connect(path)
        self._writer = Writer(path)
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="espf-read")
        self._seen_version = -1

    def changed(self) -> bool:
        """Whether anything was committed since the last call, by anyone, ourselves included."""
        try:
            version: int = self._poll.execute("PRAGMA data_version").fetchone()[0]
        except sqlite3.Error as error:
            raise storage_error(error, self._path) from error
        moved = version != self._seen_version
        self._seen_version = version
        return moved

    async def standing(self) -> Standing:
        """How far the log may be read: SQLite commits in the order of `i_event`, so to its end."""
        return self._read(reading.standing)

    async def handlers(self) -> list[HandlerRow]:
        """All handlers, by name."""
        return await self._read_much(reading.handlers)

    async def state(self, i_handler: int) -> HandlerState:
        """Breaker and stopped time of a handler."""
        return self._read(lambda reader: reading.state(reader, i_handler))

    async def take_lanes(self, i_handler: int, instance: str) -> list[LaneLease]:
        """Take over all the handler's lanes; attempts that a crash cut short are due again."""
        now_us = self._clock.now_us()
        return await self._writer.run(
            lambda writer: settling.take_lanes(writer, i_handler, instance, now_us)
        )

    async def settled_above(self, i_handler: int, position: int) -> frozenset[int]:
        """Events above the lowest cursor that are settled or parked already."""
        return await self._read_much(
            lambda reader: reading.settled_above(reader, i_handler, position)
        )

    async def read(self, i_handler: int, after: int, upto: int, limit: int) -> Batch:
        """Subscribed events with `after < i_event <= upto`, at most `limit`."""
        return self._read(lambda reader: reading.read_batch(reader, i_handler, after, upto, limit))

    async def skips(self, i_handler: int, after: int, upto: int) -> dict[int, str]:
        """Events that an operator asked to skip while they are in their lane: i_event → reason."""
        return self._read(lambda reader: reading.skips(reader, i_handler, after, upto))

    async def due(
        self, i_handler: int, now_us: int, limit: int, exclude: Collection[int], *, early: bool
    ) -> DueEvents:
        """Parked events whose time has come, oldest first; `early`: those still waiting, too."""
        upto_us = 2**62 if early else now_us
        left_out = list(exclude)
        return self._read(
            lambda reader: reading.due(reader, i_handler, now_us, upto_us, limit, left_out)
        )

    async def successor(self, event: Event, upto: int) -> int | None:
        """A later event of the same type and entity, if there is one up to `upto`."""
        return self._read(lambda reader: reading.successor(reader, event, upto))

    async def settle(self, settlement: Settlement) -> None:
        """Record it in one transaction. Raises LeaseLost, recording nothing, on a foreign fence."""
        await self._writer.run(lambda writer: settling.settle(writer, settlement))

    async def draw_tokens(
        self, i_handler: int, wanted: float, rate: float, burst: int, now_us: int
    ) -> float:
        """Take up to `wanted` tokens from the handler's bucket; returns how many it gave."""
        return await self._writer.run(
            lambda writer: settling.draw_tokens(writer, i_handler, wanted, rate, burst, now_us)
        )

    async def close(self) -> None:
        """Finish what the threads are doing and close the connections."""
        await asyncio.to_thread(self._reading.shutdown)
        await self._writer.close()
        for connection in (self._poll, self._reader):
            connection.close()

    def _read(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """Read a bounded number of rows by an index, at once: readers wait for nobody."""
        with translated(self._path):
            return work(self._reader)

    async def _read_much(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """Read what may take long, in a thread."""
        return await asyncio.get_running_loop().run_in_executor(
            self._reading, lambda: self._read(work)
        )
