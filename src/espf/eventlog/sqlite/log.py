"""EventLog on SQLite: short reads and writes on the loop, whatever waits in a thread."""

import asyncio
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import orjson

from espf.clock import Clock
from espf.eventlog.model import (
    ALL_LANES,
    BULK_FROM,
    DAY_US,
    LANES,
    MOVED_AT_ONCE,
    RELEASED_AT_ONCE,
    Batch,
    DueEvents,
    HandlerRow,
    HandlerState,
    InstanceBeat,
    InstanceRow,
    LaneLease,
    LaneRow,
    ParkedMoment,
    ReleasedBehindBulk,
    Settlement,
    Standing,
    TokensGiven,
    TokenWish,
)
from espf.eventlog.sqlite import reading, settling
from espf.eventlog.sqlite.connection import connect, translated
from espf.eventlog.sqlite.writing import Writer
from espf.events.model import Event

_Result = TypeVar("_Result")


class SqliteEventLog:
    """EventLog (see the port) on one SQLite file.

    Raises StorageError when opened on a file that is missing or of another version.
    """

    exclusive = True
    """One engine works on a file; `espf.enginelock` sees to it."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._poll = connect(path)
        self._reader = connect(path)
        self._writer = Writer(path)
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="espf-read")
        self._seen_version = -1

    async def poll(self) -> Standing | None:
        """Where the log stands; SQLite commits in the order of `i_event`, so to its end."""
        with translated(self._path):
            version: int = self._poll.execute("PRAGMA data_version").fetchone()[0]
            if version == self._seen_version:
                return None
            self._seen_version = -1  # until it is read
            standing = self._read(reading.standing)
            self._seen_version = version
        return standing

    async def handlers(self) -> list[HandlerRow]:
        """All handlers, by name."""
        return await self._read_much(reading.handlers)

    async def state(self, i_handler: int) -> HandlerState:
        """Breaker and stopped time of a handler."""
        return self._read(lambda reader: reading.state(reader, i_handler))

    async def claim_probe(self, i_handler: int, seen: int) -> bool:
        """Whether the next probe is ours."""
        return await self._writer.run(lambda w: settling.claim_probe(w, i_handler, seen))

    async def beat(self, me: InstanceRow) -> list[InstanceBeat]:
        """Say that this instance lives, and what there is of others."""
        before_us = me.beat_us - DAY_US
        return await self._writer.run(lambda w: settling.beat(w, me, before_us))

    async def leave(self, token: str) -> None:
        """Take the instance off the list; what it owned is free."""
        await self._writer.run(lambda w: settling.leave(w, token))

    async def lanes(self) -> list[LaneRow]:
        """Every lane of every handler."""
        return self._read(reading.lanes)

    async def take_lanes(
        self, i_handler: int, owner: str, seen: Collection[LaneRow]
    ) -> list[LaneLease]:
        """Own the lanes that are as they were seen; attempts that a crash cut short are due."""
        now_us = self._clock.now_us()
        return await self._writer.run(
            lambda w: settling.take_lanes(w, i_handler, owner, seen, now_us)
        )

    async def renew_lanes(self, owner: str) -> list[LaneRow]:
        """Show that the owner lives; returns all its lanes."""
        return await self._writer.run(lambda w: settling.renew_lanes(w, owner))

    async def release_lanes(
        self, i_handler: int, owner: str, leases: Collection[LaneLease]
    ) -> None:
        """Give lanes back, if they are still ours."""
        await self._writer.run(lambda w: settling.release_lanes(w, i_handler, owner, leases))

    async def settled_above(self, i_handler: int, leases: Sequence[LaneLease]) -> frozenset[int]:
        """Events above the lowest cursor that are settled or parked already."""
        return await self._read_much(lambda r: reading.settled_above(r, i_handler, leases))

    async def read(
        self,
        i_handler: int,
        after: int,
        upto: int,
        limit: int,
        lanes: Collection[int],
        *,
        bulk_after: int,
    ) -> Batch:
        """Subscribed ordinary events of the lanes, at most `limit`."""
        given = _listed(lanes)
        return self._read(
            lambda r: reading.read_batch(r, i_handler, after, upto, limit, given, bulk_after)
        )

    async def read_bulk(
        self, i_handler: int, after: int, upto: int, limit: int, lanes: Collection[int]
    ) -> Batch:
        """Subscribed bulk events of the lanes, at most `limit`."""
        given = _listed([lane - BULK_FROM for lane in lanes])
        return self._read(
            lambda r: reading.read_batch(r, i_handler, after, upto, limit, given, None)
        )

    async def behind_bulk(
        self, i_handler: int, events: Collection[Event], after: Mapping[int, int]
    ) -> frozenset[int]:
        """Which of the events have an unread bulk event of their entity before them."""
        return self._read(lambda r: reading.behind_bulk(r, i_handler, events, after))

    async def release_behind_bulk(
        self, i_handler: int, lanes: Collection[int], after: int, now_us: int
    ) -> ReleasedBehindBulk:
        """Let go what waited for bulk events that are settled."""
        bound: dict[str, object] = {"i_handler": i_handler, "after": after, "now_us": now_us}
        bound |= {"lanes": _listed(lanes, ALL_LANES), "limit": RELEASED_AT_ONCE}
        return await self._writer.run(lambda w: settling.release_behind_bulk(w, bound))

    async def skips(self, i_handler: int, after: int, upto: int) -> dict[int, str]:
        """Events that an operator asked to skip while they are in their lane: i_event → reason."""
        return self._read(lambda reader: reading.skips(reader, i_handler, after, upto))

    async def due(
        self,
        i_handler: int,
        now_us: int,
        limit: int,
        exclude: Collection[int],
        lanes: Collection[int],
        *,
        early: bool,
    ) -> DueEvents:
        """Parked events whose time has come, oldest first; `early`: those still waiting, too."""
        upto_us = 2**62 if early else now_us
        left_out, given = list(exclude), _listed(lanes, ALL_LANES)
        return self._read(
            lambda r: reading.due(r, i_handler, now_us, upto_us, limit, left_out, given)
        )

    async def parked_moments(
        self, i_handler: int, lanes: Collection[int], after: int, since_us: int, now_us: int
    ) -> list[ParkedMoment]:
        """Some of what is parked in these lanes, in order."""
        bound: dict[str, object] = {
            "i_handler": i_handler,
            "lanes": _listed(lanes, ALL_LANES),
            "after": after,
        }
        bound |= {"since_us": since_us, "now_us": now_us, "limit": MOVED_AT_ONCE}
        return self._read(lambda reader: reading.parked_moments(reader, bound))

    async def shift_clock(self, i_handler: int, by_us: int, seen: Sequence[ParkedMoment]) -> None:
        """What is parked still as it was seen keeps its distance to now."""
        await self._writer.run(lambda w: settling.shift_clock(w, i_handler, by_us, seen))

    async def successor(self, event: Event, upto: int) -> int | None:
        """A later event of the same type and entity, if there is one up to `upto`."""
        return self._read(lambda reader: reading.successor(reader, event, upto))

    async def settle(self, settlement: Settlement) -> None:
        """Record it in one transaction. Raises LeaseLost, recording nothing, on a foreign fence."""
        await self._writer.run(lambda writer: settling.settle(writer, settlement))

    async def draw_tokens(self, i_handler: int, wish: TokenWish, now_us: int) -> TokensGiven:
        """Take up to `wish.wanted` tokens from the handler's bucket; returns how many it gave."""
        return await self._writer.run(lambda w: settling.draw_tokens(w, i_handler, wish, now_us))

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


def _listed(lanes: Collection[int], all_are: int = LANES) -> str | None:
    """Lanes as a statement takes them; None for all of them, which needs no looking."""
    return None if len(lanes) == all_are else orjson.dumps(list(lanes)).decode()
