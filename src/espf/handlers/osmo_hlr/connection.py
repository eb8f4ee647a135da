"""One connection to the control interface: many commands under way, answers matched by number."""

import asyncio
import itertools
import socket
from dataclasses import dataclass
from typing import Literal, NamedTuple, cast

from espf.handlers.osmo_hlr.frames import Frames, frame
from espf.handlers.osmo_hlr.replies import NotCtrl, Reply, Verb, parse

KEEPALIVE = {
    socket.SO_KEEPALIVE: (socket.SOL_SOCKET, 1),
    socket.TCP_KEEPIDLE: (socket.IPPROTO_TCP, 20),
    socket.TCP_KEEPINTVL: (socket.IPPROTO_TCP, 10),
    socket.TCP_KEEPCNT: (socket.IPPROTO_TCP, 3),
    socket.TCP_USER_TIMEOUT: (socket.IPPROTO_TCP, 30_000),
}
"""A machine that went away without a word is noticed within a minute; one whose osmo-hlr only
hangs still acknowledges, and keeps its connection."""


class Command(NamedTuple):
    """One command. Its value may be a secret, so it has no text but for the wire."""

    verb: Verb
    variable: str
    value: str = ""

    def __str__(self) -> str:
        return f"{self.verb} {self.variable}"

    def __repr__(self) -> str:
        return f"Command({self})"

    def framed(self, number: int) -> bytes:
        """As it goes over the wire."""
        return frame(f"{self.verb} {number} {self.variable} {self.value}".rstrip())


class Ended(Exception):  # noqa: N818 - caught by the client, which tells what it means
    """The connection ended before the answer came; the text says how."""


@dataclass(slots=True)
class _Exchange:
    answer: asyncio.Future[Reply]
    begun: float

    @property
    def given_up(self) -> bool:
        return self.answer.cancelled()


class Connection(asyncio.Protocol):
    """osmo-hlr carries out the commands of one connection in their order.

    A command given up for lack of an answer may still be lying in the socket of a server that
    hangs, and be carried out when it goes on. So the connection outlives it, and nothing that
    changes anything is written until a later answer shows that it is through.
    """

    def __init__(self, place: str) -> None:
        self._place = place
        self._loop = asyncio.get_running_loop()
        self._frames = Frames()
        self._numbers = itertools.count(1)
        self._open: dict[int, _Exchange] = {}
        self._settled = asyncio.Event()
        self._settled.set()
        self._transport: asyncio.Transport
        self._gone = asyncio.Event()
        self.closed = False

    @property
    def owing(self) -> int:
        """Commands given up that may still be carried out."""
        return sum(exchange.given_up for exchange in self._open.values())

    @property
    def silent_s(self) -> float:
        """How long the oldest command has been without an answer."""
        oldest = next(iter(self._open.values()), None)
        return 0.0 if oldest is None else self._loop.time() - oldest.begun

    async def settled(self) -> None:
        """Wait until no command is owing, or the connection has ended."""
        await self._settled.wait()

    async def exchange(self, command: Command) -> Reply:
        """Write the command and wait for its answer; the caller bounds the wait. Raises Ended."""
        if self.closed:
            raise Ended(f"the connection to {self._place} was closed")
        number = next(self._numbers)
        exchange = _Exchange(self._loop.create_future(), self._loop.time())
        self._open[number] = exchange
        self._transport.write(command.framed(number))
        try:
            return await exchange.answer
        finally:
            if exchange.given_up and not self.closed:
                self._settled.clear()

    def abort(self) -> None:
        """Close at once."""
        self.closed = True
        self._transport.abort()

    async def close(self) -> None:
        """Close, and wait until the socket is."""
        self.abort()
        await self._gone.wait()

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, and have its far end watched."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one but in name
        sock = transport.get_extra_info("socket")
        for option, (level, value) in KEEPALIVE.items():
            sock.setsockopt(level, option, value)

    def data_received(self, data: bytes) -> None:
        """Hand out the answers."""
        try:
            for text in self._frames.feed(data):
                reply = parse(text)
                if reply is not None:
                    self._answered(reply)
        except NotCtrl:
            self._end(
                "answered with something that is not the control interface's; is the port right?"
            )

    def eof_received(self) -> Literal[False]:
        """The far side is through with us."""
        self._end("was closed by it")
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """Tell those who wait."""
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "closed"
        self._end(f"was lost: {reason}")
        self._gone.set()

    # ----

    def _answered(self, reply: Reply) -> None:
        """An answer shows that what was given up before it is through, too."""
        exchange = self._open.pop(reply.number, None)
        for number in [n for n, one in self._open.items() if one.given_up and n < reply.number]:
            del self._open[number]
        if exchange is not None and not exchange.answer.done():
            exchange.answer.set_result(reply)
        if not self.owing:
            self._settled.set()

    def _end(self, how: str) -> None:
        if not self.closed:
            self.abort()
        exchanges, self._open = self._open, {}
        for exchange in exchanges.values():
            if not exchange.answer.done():
                exchange.answer.set_exception(Ended(f"the connection to {self._place} {how}"))
        self._settled.set()
