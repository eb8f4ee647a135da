"""Client of osmo-hlr's control interface: one connection, kept; every wait bounded.

What a failure means is said exactly: `NotNow` if nothing was sent, `Unclear` if the command may be
carried out yet.
"""

import asyncio
from collections.abc import Callable

from espf.delivery.address import resolve
from espf.delivery.connection import LEASE_ENDED
from espf.delivery.errors import FOREIGN, DeliveryError, translated
from espf.handlers.contract.failures import NotNow, Unclear
from espf.handlers.osmo_hlr.connection import Command, Connection, Ended
from espf.handlers.osmo_hlr.replies import Reply
from espf.handlers.port import always

MOST_OWING = 256
"""More commands are not added to those that a server that hangs has not answered."""
HOPELESS_S = 600.0
"""A connection that has been silent so long is given up: what it owes is lost by now."""


class CtrlError(Exception):
    """osmo-hlr answered ERROR; `text` is its own."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class CtrlClient:
    """GET and SET. Used from one event loop, by many at once."""

    def __init__(
        self,
        host: str,
        port: int,
        timeout_s: float,
        *,
        local_address: str | None = None,
        may_send: Callable[[], bool] = always,
    ) -> None:
        """`timeout_s` bounds a command as a whole, connecting included."""
        self.place = f"osmo-hlr at {host}:{port}"
        self._host = host
        self._port = port
        self._timeout_s = timeout_s
        self._local = None if local_address is None else (local_address, 0)
        self._may_send = may_send
        self._connection: Connection | None = None
        self._opening = asyncio.Lock()

    async def get(self, variable: str) -> str:
        """The variable's value. Raises CtrlError, NotNow, Unclear."""
        return await self._ask(Command("GET", variable))

    async def set(self, variable: str, value: str) -> str:
        """What it answers to the new value. Raises CtrlError, NotNow, Unclear."""
        return await self._ask(Command("SET", variable, value))

    async def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            await self._connection.close()

    async def _ask(self, command: Command, *, again: bool = False) -> str:
        written = False
        try:
            async with asyncio.timeout(self._timeout_s):
                connection = await self._connected()
                await self._turn(connection, command)
                written = True
                reply = await connection.exchange(command)
        except TimeoutError:
            raise self._late(command, written=written) from None
        except Ended as error:
            if command.verb == "GET" and not again:  # a server that was restarted meanwhile
                return await self._ask(command, again=True)
            raise Unclear(f"{error}, before it answered {command}") from None
        return self._judged(reply, command)

    async def _turn(self, connection: Connection, command: Command) -> None:
        """What changes something waits until nothing that was given up can still be carried out."""
        if connection.owing >= MOST_OWING:
            raise NotNow(f"{self.place} hangs: it owes {connection.owing} answers")
        if command.verb == "SET":
            await connection.settled()
            if not self._may_send():
                raise NotNow(LEASE_ENDED)

    def _late(self, command: Command, *, written: bool) -> NotNow | Unclear:
        limit = f"{self._timeout_s:g} s"
        if written:
            return Unclear(f"{self.place} did not answer {command} within {limit}")
        if self._connection is None or self._connection.closed:
            return NotNow(f"no connection to {self.place} within {limit}", refused=True)
        return NotNow(
            f"{self.place} still owes answers to earlier commands after {limit}; "
            f"{command} was not sent"
        )

    def _judged(self, reply: Reply, command: Command) -> str:
        if reply.verb is None:
            raise CtrlError(reply.text)
        if (reply.verb, reply.variable) != (command.verb, command.variable):
            raise Unclear(
                f"{self.place} answered {command} as if it were {reply.verb} {reply.variable}",
                answer=reply.text,
            )
        return reply.text

    # ---- the connection ----

    async def _connected(self) -> Connection:
        async with self._opening:
            connection = self._connection
            if connection is not None and connection.silent_s > HOPELESS_S:
                connection.abort()
            if connection is None or connection.closed:
                self._connection = connection = None
                self._connection = connection = await self._dial()
            return connection

    async def _dial(self) -> Connection:
        place = self.place
        try:
            addresses = await resolve(self._host, self._port, ())
        except FOREIGN as error:
            raise _unreachable(translated(error, place, sent=False)) from None
        failure: DeliveryError | None = None
        for address in addresses:
            try:
                return await self._connect(str(address))
            except FOREIGN as error:
                failure = translated(error, place, sent=False)
        assert failure is not None  # `resolve` gives one address at least
        raise _unreachable(failure)

    async def _connect(self, address: str) -> Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            lambda: Connection(self.place), address, self._port, local_addr=self._local
        )
        return connection


def _unreachable(error: DeliveryError) -> NotNow:
    return NotNow(f"{error}", refused=True)
