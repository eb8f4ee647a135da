"""EventSenders and a receiving application on loopback; the event log on each engine."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from espf.handlers.options import read_options
from espf.handlers.port import Handler, HandlerContext
from espf.handlers.types import handler_type
from storage_rig import ENGINES, Storage, storage_on

HANDBOOK_US = 1523546640 * 1_000_000
"""Thu, 12 Apr 2018 15:24:00 GMT, the moment of the handbook's examples."""

BASIC: dict[str, object] = {
    "EventSender.BasicAuth.User": "username",
    "EventSender.BasicAuth.Key": "secret",
}


class StillClock:
    """Wall time stands where it is put; waiting is real."""

    def __init__(self, now_us: int = HANDBOOK_US) -> None:
        self.us = now_us

    def now_us(self) -> int:
        return self.us

    def monotonic(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass
class Request:
    line: str
    headers: list[tuple[str, str]]
    body: bytes

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]


Answer = bytes | None
"""What the receiver says; None: it says nothing and keeps the connection; b"" closes it."""


@dataclass
class Receiver:
    port: int = 0
    greeting: bytes = b""
    """Said to whoever connects, before any request."""
    answer: Answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    requests: list[Request] = field(default_factory=list)
    done: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(self.greeting)
            while head := await reader.readuntil(b"\r\n\r\n"):
                line, *rest = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
                headers = [(h.split(": ", 1)[0], h.split(": ", 1)[1]) for h in rest]
                request = Request(line, headers, b"")
                request.body = await reader.readexactly(int(request.values("content-length")[0]))
                self.requests.append(request)
                if self.answer is None:
                    await self.done.wait()
                    break
                writer.write(self.answer)
                await writer.drain()
                if not self.answer or b"Connection: close" in self.answer:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def receiving(tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        receiver.done.set()
        server.close()
        await server.wait_closed()


@pytest.fixture(name="receiving")
def receiving_fixture() -> Callable[..., object]:
    """For a test that needs a second receiver, or one that speaks TLS."""
    return receiving


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


StartHandler = Callable[..., Handler]


@pytest.fixture
async def start_sender(receiver: Receiver, clock: StillClock) -> AsyncIterator[StartHandler]:
    """Start EventSenders with these options, against the receiver unless a URL is given."""
    started: list[Handler] = []

    def starting(
        options: dict[str, object] | None = None,
        *,
        path: str = "/",
        subscriptions: frozenset[str] = frozenset(("all",)),
    ) -> Handler:
        raw: dict[str, object] = {
            "EventSender.URL": f"http://127.0.0.1:{receiver.port}{path}",
            "EventSender.APIVersion": 1,
        }
        kind = handler_type("EventSender")
        settings = read_options(
            kind.settings, raw | (BASIC if options is None else options), kind.name
        )
        context = HandlerContext("test", clock)
        started.append(kind.start(settings, subscriptions, context))
        return started[-1]

    yield starting
    for handler in started:
        await handler.close()


@pytest.fixture(params=ENGINES)
async def storage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Storage]:
    """The event log on each engine."""
    with storage_on(request.param, tmp_path) as made:
        yield made
        await made.close()


@pytest.fixture
async def sqlite_storage(tmp_path: Path) -> AsyncIterator[Storage]:
    """The event log on SQLite, for what only that engine can be brought to."""
    with storage_on("sqlite", tmp_path) as made:
        yield made
        await made.close()
