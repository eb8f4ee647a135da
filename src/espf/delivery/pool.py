"""The connections of one client: those that wait for work, those who wait for a connection.

The most recently used connection is taken first, so that those not needed age and are closed; who
waits is served in order. A slot is a connection that exists or is being opened; there are never
more than `max_connections` slots.
"""

import asyncio
from collections import deque

from espf.delivery.connection import Connection


class Pool:
    """Hands out idle connections and slots for new ones."""

    def __init__(self, max_connections: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._max = max_connections
        self._slots = 0
        self._waiters: deque[asyncio.Future[Connection | None]] = deque()
        self._drained: asyncio.Future[None] | None = None
        self.idle: list[Connection] = []
        """The last one was used last. The client takes from it directly."""
        self.live: set[Connection] = set()
        """All that are open, idle or not."""

    @property
    def slots(self) -> int:
        """Connections open or being opened."""
        return self._slots

    async def take(self, *, first: bool = False) -> Connection | None:
        """An idle connection, or None: a slot is yours, open one. Waits as long as it takes.

        With `first`, ahead of all who wait: for the repeat of a request that had its turn before.
        """
        while True:
            if self.idle:
                return self.idle.pop()
            if self._slots < self._max:
                self._slots += 1
                return None
            connection = await self._wait(first=first)
            if connection is None or not connection.closed:
                return connection

    async def _wait(self, *, first: bool) -> Connection | None:
        waiter: asyncio.Future[Connection | None] = self._loop.create_future()
        if first:
            self._waiters.appendleft(waiter)
        else:
            self._waiters.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._give_back(waiter.result())
            elif waiter in self._waiters:  # or it was passed over already
                self._waiters.remove(waiter)
            raise

    def _give_back(self, connection: Connection | None) -> None:
        if connection is None:
            self.free()
        elif not connection.closed:
            self.release(connection)

    def opened(self, connection: Connection) -> None:
        """The connection that a slot was taken for exists."""
        self.live.add(connection)

    def free(self) -> None:
        """Give a slot back: the connection could not be opened, or is closed."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._slots -= 1
        if self._drained is not None and not self._slots and not self._drained.done():
            self._drained.set_result(None)

    async def drained(self) -> None:
        """Wait until there is no slot left."""
        if self._slots:
            self._drained = self._loop.create_future()
            await self._drained

    # What a connection calls.

    def release(self, connection: Connection) -> None:
        """Give the connection to the one who waits longest, or keep it."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        self.idle.append(connection)

    def retire(self, connection: Connection) -> None:
        """Do not give it out again; its slot is free once it is closed."""
        if connection in self.idle:
            self.idle.remove(connection)

    def lost(self, connection: Connection) -> None:
        """It is closed: give its slot on."""
        self.retire(connection)
        if connection in self.live:
            self.live.remove(connection)
            self.free()
