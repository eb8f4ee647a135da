"""A small receiving application inside the test's own loop: keeps what arrives, in order.

Import it as `http_receiver`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson


@dataclass
class Answer:
    """How a request is answered; `delay_s` before, None for a connection closed instead."""

    status: int | None = 200
    delay_s: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Receiver:
    """A listening socket and what came in."""

    answer: Callable[[dict[str, Any]], Answer] = lambda _body: Answer()
    arrivals: list[tuple[int, int | None]] = field(default_factory=list)
    """(i_event, status it was answered with), in order of arrival."""
    port: int = 0
    _server: asyncio.Server | None = None
    _connections: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/events"

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Refuse connections and break the open ones."""
        if self._server is not None:
            self._server.close()
        tasks = list(self._connections)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the engine was killed, or the test ends
        finally:
            self._connections.discard(task)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.partition(b":")[2])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        )
        body = orjson.loads(await reader.readexactly(length))
        answer = self.answer(body)
        self.arrivals.append((int(body["variables"]["i_event"]), answer.status))
        await asyncio.sleep(answer.delay_s)
        if answer.status is None:
            return False
        lines = [f"HTTP/1.1 {answer.status} X", "Content-Length: 0"]
        lines += [f"{name}: {value}" for name, value in answer.headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        await writer.drain()
        return True


@asynccontextmanager
async def receiver(**given: Any) -> AsyncIterator[Receiver]:
    """A receiver on a free port of the loopback."""
    made = Receiver(**given)
    await made.listen()
    try:
        yield made
    finally:
        await made.close()
