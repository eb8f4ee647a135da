"""A quick receiving application that remembers all that arrives, and plays tricks on who sends.

Import it as `fault_receiver`.
"""

import asyncio
import socket
import struct
import time
from collections.abc import Callable
from random import Random
from typing import Literal, NamedTuple

import httptools
import orjson

Trick = Literal[
    "accept",  # 200 at once
    "busy",  # 503
    "slow",  # 200 after a moment
    "late",  # accepted, and answered when nobody waits any more
    "hang",  # no answer, ever
    "drip",  # 200, byte by byte
    "garbage",  # bytes that are no HTTP
    "cut",  # half an answer, then the end
    "reset",  # accepted, then the connection is reset
    "mute",  # accepted, then closed without an answer
    "shut",  # closed while the request is on its way, unread
    "farewell",  # 200, and closed a moment later: the next request is on its way
]
ACCEPTING = frozenset(("accept", "slow", "late", "drip", "reset", "mute", "farewell"))
"""What the application did act on, whether its answer arrived or not."""
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
GARBAGE = b"\x16\x03\x01 what is this?\r\n\r\n\x00\xff"


class Arrival(NamedTuple):
    """One request, as it came in."""

    at_s: float
    source: str
    """Address of the instance that sent it."""
    handler: str
    i_event: int
    account: int
    serial: str
    """What tells events apart, whatever their numbers."""
    trick: Trick

    @property
    def accepted(self) -> bool:
        return self.trick in ACCEPTING


class FaultReceiver:
    """Listens on the loopback; the path of a request names the handler it is from."""

    def __init__(self, slow_s: float = 0.2, late_s: float = 3.0) -> None:
        self.arrivals: list[Arrival] = []
        self.choose: Callable[[], Trick] = lambda: "accept"
        self.slow_s = slow_s
        self.late_s = late_s
        self.random = Random(7)
        self.unread = 0
        """Requests that it closed the connection upon."""
        self.port = 0
        self.open: set[Exchange] = set()
        self._server: asyncio.Server | None = None

    def url(self, handler: str) -> str:
        return f"http://127.0.0.1:{self.port}/{handler}"

    async def listen(self) -> None:
        """Begin, or begin again on the same port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Exchange(self), "127.0.0.1", self.port, backlog=1024
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Refuse connections and break the open ones."""
        if self._server is not None:
            self._server.close()
            for one in list(self.open):
                one.transport.abort()
            await self._server.wait_closed()

    def mix(self, share: float, *tricks: Trick) -> None:
        """Play these tricks on that share of the requests."""

        def choose() -> Trick:
            return self.random.choice(tricks) if self.random.random() < share else "accept"

        self.choose = choose


class Exchange(asyncio.Protocol):
    """One connection of a client."""

    transport: asyncio.Transport

    def __init__(self, receiver: FaultReceiver) -> None:
        self.receiver = receiver
        self.loop = asyncio.get_running_loop()
        self.parser = httptools.HttpRequestParser(self)
        self.path = b""
        self.body: list[bytes] = []
        self.trick: Trick | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.source = str(transport.get_extra_info("peername")[0])
        self.receiver.open.add(self)

    def connection_lost(self, _error: Exception | None) -> None:
        self.receiver.open.discard(self)

    def data_received(self, data: bytes) -> None:
        if self.trick is None:
            self.trick = self.receiver.choose()
        if self.trick == "shut":
            self.receiver.unread += 1
            self.transport.abort()
            return
        self.parser.feed_data(data)

    # ---- what the parser calls ----

    def on_url(self, url: bytes) -> None:
        self.path += url

    def on_body(self, body: bytes) -> None:
        self.body.append(body)

    def on_message_complete(self) -> None:
        trick = self.trick or "accept"
        variables = orjson.loads(b"".join(self.body))["variables"]
        serial = str(variables.get("serial") or variables["curr_id"])
        arrival = Arrival(
            time.monotonic(), self.source, self.path[1:].decode(), int(variables["i_event"]),
            int(variables["i_account"]), serial, trick,
        )  # fmt: skip
        self.receiver.arrivals.append(arrival)
        self.path, self.body, self.trick = b"", [], None
        self._play(trick)

    def _play(self, trick: Trick) -> None:  # noqa: C901 - a case for each trick
        match trick:
            case "accept":
                self.transport.write(OK)
            case "busy":
                self.transport.write(BUSY)
            case "slow":
                self.loop.call_later(self.receiver.slow_s, self._write, OK)
            case "late":
                self.loop.call_later(self.receiver.late_s, self._write, OK)
            case "drip":
                self._drip(OK)
            case "garbage":
                self.transport.write(GARBAGE)
            case "cut":
                self.transport.write(OK[:20])
                self.transport.close()
            case "reset":
                self._reset()
            case "mute":
                self.transport.close()
            case "farewell":
                self.transport.write(OK)
                self.loop.call_later(self.receiver.random.random() * 0.003, self.transport.close)
            case _:
                pass

    def _write(self, answer: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(answer)

    def _drip(self, rest: bytes) -> None:
        self._write(rest[:1])
        if len(rest) > 1:
            self.loop.call_later(0.01, self._drip, rest[1:])

    def _reset(self) -> None:
        sock: socket.socket = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()
