"""EventLog on PostgreSQL: three connections, for looking around, for reading and for settling."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager

import orjson
import psycopg

from espf.clock import Clock
from espf.database_url import PostgresUrl
from espf.errors import StorageError
from espf.eventlog.model import (
    ALL_LANES,
    BULK_FROM,
    DAY_US,
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
from espf.eventlog.operating.handlers import handler_state
from espf.eventlog.postgres import leasing, reading, settling
from espf.eventlog.postgres.connection import connect, storage_error
from espf.eventlog.postgres.horizon import Horizon
from espf.eventlog.postgres.leasing import applications
from espf.eventlog.postgres.link import Link
from espf.eventlog.postgres.statement import statement
from espf.events.model import Event


class PostgresEventLog:
    """EventLog (see the port) on a PostgreSQL database.

    Raises StorageError when opened on a server that is away, or tables of another version.
    """

    exclusive = False
    """Other instances work on it, too."""

    def __init__(self, url: PostgresUrl, clock: Clock, token: str = "") -> None:
        """`token` is the instance's own, by which others find its connections."""
        connect(url, "espf instance").close()  # says what is wrong, if anything is
        self._url = url
        self._clock = clock
        self._token = token
        self._side, self._reader, self._writer = (Link(url, name) for name in applications(token))
        self._horizon = Horizon()
        self._seen: Standing | None = None
        self._doubtful: tuple[Settlement, int] | None = None
        """A settlement that was on its way when the connection was lost, and its transaction."""

    @asynccontextmanager
    async def _on(self, link: Link) -> AsyncIterator[Link]:
        try:
            async with link.turn:
                yield link
        except psycopg.Error as error:
            raise storage_error(error, self._url) from error
        except TimeoutError as error:
            raise StorageError(
                f"{self._url.shown}: no answer in time; the server or the network is away."
            ) from error
        except OSError as error:
            raise StorageError(f"{self._url.shown}: {error}.") from error

    async def poll(self) -> Standing | None:
        """Where the log stands, to the horizon; None if nothing moved since the last call."""
        seen, self._seen = self._seen, None
        async with self._on(self._side) as link:
            standing = await self._horizon.look(link)
        self._seen = standing
        return None if standing == seen else standing

    async def handlers(self) -> list[HandlerRow]:
        """All handlers, by name."""
        async with self._on(self._side) as link:
            return await reading.handlers(link)

    async def state(self, i_handler: int) -> HandlerState:
        """Breaker and stopped time of a handler."""
        async with self._on(self._side) as link:
            rows = await link.fetch(statement("state"), {"i_handler": i_handler})
        return handler_state(rows[0] if rows else None)

    async def claim_probe(self, i_handler: int, seen: int) -> bool:
        """Whether the next probe is ours."""
        async with self._on(self._side) as link:
            return await leasing.claim_probe(link, i_handler, seen)

    # ---- instances and lanes: on the settling connection, so that a lane's row is never wanted
    # ---- by two transactions of ours at once ----

    async def beat(self, me: InstanceRow) -> list[InstanceBeat]:
        """Say that this instance lives, and what there is of others."""
        async with self._on(self._side) as link:
            return await leasing.beat(link, me, me.beat_us - DAY_US)

    async def leave(self, token: str) -> None:
        """Take the instance off the list; what it owned is free."""
        async with self._on(self._writer) as link:
            await leasing.leave(link, token)

    async def lanes(self) -> list[LaneRow]:
        """Every lane of every handler."""
        async with self._on(self._side) as link:
            return [LaneRow._make(row) for row in await link.fetch(statement("lanes"), {})]

    async def take_lanes(
        self, i_handler: int, owner: str, seen: Collection[LaneRow]
    ) -> list[LaneLease]:
        """Own the lanes that are as they were seen; attempts that a crash cut short are due."""
        async with self._on(self._writer) as link:
            await leasing.cut_off(link, {row.owner for row in seen if row.owner} - {owner})
            return await leasing.take_lanes(link, i_handler, owner, seen, self._clock.now_us())

    async def renew_lanes(self, owner: str) -> list[LaneRow]:
        """Show that the owner lives; returns all its lanes."""
        async with self._on(self._writer) as link:
            rows = await link.fetch(statement("renew_lanes"), {"owner": owner})
        return [LaneRow._make(row) for row in rows]

    async def release_lanes(
        self, i_handler: int, owner: str, leases: Collection[LaneLease]
    ) -> None:
        """Give lanes back, if they are still ours."""
        async with self._on(self._writer) as link:
            await leasing.release_lanes(link, i_handler, owner, leases)

    # ---- reading ----

    async def settled_above(self, i_handler: int, leases: Sequence[LaneLease]) -> frozenset[int]:
        """Events above the lowest cursor that are settled or parked already."""
        async with self._on(self._reader) as link:
            return await reading.settled_above(link, i_handler, leases)

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
        async with self._on(self._reader) as link:
            return await reading.read_batch(link, i_handler, after, upto, limit, lanes, bulk_after)

    async def read_bulk(
        self, i_handler: int, after: int, upto: int, limit: int, lanes: Collection[int]
    ) -> Batch:
        """Subscribed bulk events of the lanes, at most `limit`."""
        places = [lane - BULK_FROM for lane in lanes]
        async with self._on(self._reader) as link:
            return await reading.read_batch(link, i_handler, after, upto, limit, places, None)

    async def behind_bulk(
        self, i_handler: int, events: Collection[Event], after: Mapping[int, int]
    ) -> frozenset[int]:
        """Which of the events have an unread bulk event of their entity before them."""
        async with self._on(self._reader) as link:
            return await reading.behind_bulk(link, i_handler, events, after)

    async def release_behind_bulk(
        self, i_handler: int, lanes: Collection[int], after: int, now_us: int
    ) -> ReleasedBehindBulk:
        """Let go what waited for bulk events that are settled."""
        bound: dict[str, object] = {"i_handler": i_handler, "after": after, "now_us": now_us}
        bound |= {"lanes": reading.listed(lanes, ALL_LANES), "limit": RELEASED_AT_ONCE}
        async with self._on(self._writer) as link:
            found = await link.fetch(statement("behind_bulk_next"), bound)
            if not found:
                return ReleasedBehindBulk(0, 0, None)
            bound["upto"] = found[-1][0]
            released = len(await link.fetch(statement("release_behind_bulk"), bound))
        last = found[-1][0] if len(found) == RELEASED_AT_ONCE else None
        return ReleasedBehindBulk(released, len(found) - released, last)

    async def skips(self, i_handler: int, after: int, upto: int) -> dict[int, str]:
        """Events that an operator asked to skip while they are in their lane: i_event → reason."""
        async with self._on(self._reader) as link:
            return await reading.skips(link, i_handler, after, upto)

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
        async with self._on(self._reader) as link:
            return await reading.due(link, i_handler, now_us, upto_us, limit, exclude, lanes)

    async def parked_moments(
        self, i_handler: int, lanes: Collection[int], after: int, since_us: int, now_us: int
    ) -> list[ParkedMoment]:
        """Some of what is parked in these lanes, in order."""
        bound = {"i_handler": i_handler, "lanes": reading.listed(lanes, ALL_LANES), "after": after}
        bound |= {"since_us": since_us, "now_us": now_us, "limit": MOVED_AT_ONCE}
        async with self._on(self._reader) as link:
            rows = await link.fetch(statement("parked_moments"), bound)
        return [ParkedMoment._make(row) for row in rows]

    async def shift_clock(self, i_handler: int, by_us: int, seen: Sequence[ParkedMoment]) -> None:
        """What is parked still as it was seen keeps its distance to now."""
        rows = orjson.dumps([one._asdict() for one in seen]).decode()
        bound = {"i_handler": i_handler, "by_us": by_us, "seen": rows}
        async with self._on(self._writer) as link:
            await link.fetch(statement("shift_clock"), bound)

    async def successor(self, event: Event, upto: int) -> int | None:
        """A later event of the same type and entity, if there is one up to `upto`."""
        bound = {**event._asdict(), "upto": upto}
        async with self._on(self._reader) as link:
            ((found,),) = await link.fetch(statement("successor"), bound)
        return None if found is None else int(found)

    # ---- writing ----

    async def settle(self, settlement: Settlement) -> None:
        """Record it in one transaction. Raises LeaseLost, recording nothing, on a foreign fence.

        If the connection is lost after COMMIT was sent, nobody knows what became of it: then the
        next call, which is the same settlement again, asks the server first.
        """
        async with self._on(self._writer) as link:
            doubtful, self._doubtful = self._doubtful, None
            if doubtful is not None and doubtful[0] is settlement:
                self._doubtful = doubtful
                await leasing.cut_off_settling(link, self._token)
                if await settling.was_stored(link, *doubtful):
                    self._doubtful = None
                    return

            def began(transaction: int) -> None:
                self._doubtful = (settlement, transaction)

            script = settling.script_of(settlement, link.literal, began)
            await link.script(script.text, script.rows, script.gate)
            self._doubtful = None

    async def draw_tokens(self, i_handler: int, wish: TokenWish, now_us: int) -> TokensGiven:  # noqa: ARG002
        """Take tokens from the handler's bucket, by the server's clock: ours differ."""
        async with self._on(self._side) as link:
            return await leasing.draw_tokens(link, i_handler, wish)

    async def close(self) -> None:
        """Give up the connections."""
        for link in (self._side, self._reader, self._writer):
            link.drop()
