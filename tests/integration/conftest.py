"""A hostile HTTP server: it answers by script, byte for byte, on a real socket."""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

import pytest

Step = bytes | str | tuple[str, bytes] | tuple[str, bytes, float]
"""Bytes to send, or what else to do:

"fin", "reset"      end the connection
"stall"             do nothing until the client goes away
"head"              read a request's head and no more
("drip", bytes)     send each byte in a segment of its own, with a pause in seconds if given
("endless", bytes)  send them again and again until the client goes away, with a pause if given
"""
Answer = Sequence[Step]


@dataclass
class ScriptedServer:
    """Plays `answers[connection][request]`; the last one of each list is used from then on."""

    answers: Sequence[Sequence[Answer]]
    read_first: bool = True
    """Whether it reads a request before each answer."""
    port: int = 0
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    open_now: int = 0
    most_open: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?x=1"

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mine = self.answers[min(self.connections, len(self.answers) - 1)]
        self.connections += 1
        self.open_now += 1
        self.most_open = max(self.most_open, self.open_now)
        try:
            await self._converse(mine, reader, writer)
        except (OSError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            self.open_now -= 1
            writer.close()
            with contextlib.suppress(OSError, ssl.SSLError):
                await writer.wait_closed()

    async def _converse(
        self, mine: Sequence[Answer], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        served = 0
        while True:
            if self.read_first:
                self.requests.append(await read_request(reader))
            for step in mine[min(served, len(mine) - 1)]:
                if await self._play(step, reader, writer):
                    return
            served += 1
            if not self.read_first:
                await reader.read()
                return

    async def _play(
        self, step: Step, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Do one step; True ends the connection."""
        if isinstance(step, bytes):
            writer.write(step)
            await writer.drain()
        elif isinstance(step, tuple):
            kind, text, pause_s = (*step, 0.0)[:3]
            return await self._stream(kind, text, pause_s, reader, writer)
        elif step == "head":
            self.requests.append(await reader.readuntil(b"\r\n\r\n"))
        elif step == "stall":
            await reader.read()
            return True
        elif step == "reset":
            await asyncio.sleep(0.02)  # what was sent before shall arrive before the reset
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            return True
        elif step == "fin":
            return True
        return False

    async def _stream(
        self,
        kind: str,
        text: bytes,
        pause_s: float,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        if kind == "drip":
            for place in range(len(text)):
                writer.write(text[place : place + 1])
                await asyncio.sleep(pause_s)
            return False
        while not reader.at_eof():
            writer.write(text)
            await writer.drain()
            await asyncio.sleep(pause_s)
        return True


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """One request with its body, as sent."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return head + await reader.readexactly(length)


@contextlib.asynccontextmanager
async def serving(
    answers: Sequence[Sequence[Answer]],
    *,
    read_first: bool = True,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[ScriptedServer]:
    """Run a scripted server on a free port of 127.0.0.1."""
    scripted = ScriptedServer(answers, read_first)
    running: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        task.add_done_callback(running.discard)
        await scripted.converse(reader, writer)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    scripted.port = server.sockets[0].getsockname()[1]
    try:
        yield scripted
    finally:
        server.close()
        if running:
            _, late = await asyncio.wait(running, timeout=2)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)


@pytest.fixture
def hostile() -> Callable[..., contextlib.AbstractAsyncContextManager[ScriptedServer]]:
    """Start a server: `async with hostile([[[b"HTTP/1.1 200 OK…"]]]) as server`."""
    return serving
