"""Several instances in one process, on one PostgreSQL database, with a far side for each of them.

Import it as `fleet_rig`. Time is real: leases last a second.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from engine_rig import FarSide, PacedSettings, handler_change, instance_row
from espf.clock import SystemClock
from espf.engine.instance import Instance
from espf.errors import HandlerError
from espf.eventlog.model import HandlerRow
from espf.eventlog.postgres.log import PostgresEventLog
from espf.handlers.port import Handler
from espf.handlers.settings import HandlerSettings
from storage_rig import PostgresStorage

LEASE_S = 1.0


class Spread(PacedSettings):
    """Lanes are leased one by one, as those of an EventSender in async mode."""

    whole: bool = False

    @property
    def leased_whole(self) -> bool:
        return self.whole


class Member:
    """One instance of a fleet."""

    def __init__(self, fleet: "Fleet", name: str) -> None:
        self.fleet = fleet
        self.name = name
        self.far = {row.name: FarSide() for row in fleet.storage.operations.handlers()}
        self.unusable: set[str] = set()
        self.may_send: dict[str, Callable[[], bool]] = {}
        """What each handler asks before it writes a request."""
        self.log = PostgresEventLog(fleet.storage.url, SystemClock(), name)
        self.instance = Instance(
            instance_row(name), self.log, SystemClock(), self._start, grace_s=2, lease_s=LEASE_S
        )
        self.stop = asyncio.Event()
        self.task = asyncio.get_running_loop().create_task(self.instance.run(self.stop))

    def _start(
        self, row: HandlerRow, may_send: Callable[[], bool]
    ) -> tuple[Handler, HandlerSettings]:
        self.may_send[row.name] = may_send
        if row.name in self.unusable:
            raise HandlerError("a file of it is missing here")
        return self.far[row.name], Spread.model_validate(row.options)

    async def leave(self) -> None:
        """Stop as SIGTERM does."""
        self.stop.set()
        await self.task
        await self.log.close()
        self.fleet.members.remove(self)

    async def crash(self) -> None:
        """Lose everything in memory, without a word to anyone."""
        self.task.cancel()
        await asyncio.wait([self.task])
        await self.log.close()
        self.fleet.members.remove(self)


class Fleet:
    """Instances on one database."""

    def __init__(self, storage: PostgresStorage) -> None:
        self.storage = storage
        self.members: list[Member] = []

    def join(self, *names: str) -> list[Member]:
        joined = [Member(self, name) for name in names]
        self.members += joined
        return joined

    def add(self, name: str, **options: Any) -> int:
        """A handler whose far sides the members have."""
        return self.storage.add(handler_change(name, **options))

    def owned(self, i_handler: int) -> "Counter[str | None]":
        """Lanes of a handler by owner."""
        rows = self.storage.all(
            f"SELECT owner FROM lane_cursor WHERE i_handler = {i_handler} AND lane < 64"
        )
        return Counter(owner for (owner,) in rows)

    def sent(self, handler: str) -> list[int]:
        """Everything that was sent, by whoever."""
        return [n for member in self.members for n in member.far[handler].sent]

    async def until(self, holds: Callable[[], bool], what: str, within_s: float = 15) -> float:
        """Wait for something; returns how long it took."""
        began = time.monotonic()
        while not holds():
            assert time.monotonic() - began < within_s, f"in vain: {what}"
            for member in self.members:
                if member.task.done():
                    member.task.result()
            await asyncio.sleep(0.02)
        return time.monotonic() - began


@asynccontextmanager
async def fleet_on(storage: PostgresStorage) -> AsyncIterator[Fleet]:
    """A fleet without members yet; those that are there at the end leave."""
    fleet = Fleet(storage)
    try:
        yield fleet
    finally:
        for member in list(fleet.members):
            await member.leave()
