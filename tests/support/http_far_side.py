"""A far side that speaks HTTP: a real server on loopback, to be given what it answers.

Import it as `http_far_side`.
"""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any, NamedTuple, TypeVar

Said = tuple[int, object] | None
"""Status and body (bytes, or what is made JSON); None: the connection ends within the answer."""


class Asked(NamedTuple):
    """A request, header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class HttpFarSide:
    """Base of far sides that speak HTTP."""

    port: int = 0

    async def answer(self, asked: Asked) -> Said:
        raise NotImplementedError

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, path, _ = head[0].split(" ")
        pairs = (line.split(": ", 1) for line in head[1:] if line)
        headers = {name.lower(): value for name, value in pairs}
        body = await reader.readexactly(int(headers["content-length"]))
        said = await self.answer(Asked(method, path, headers, body))
        if said is None:
            writer.write(b"HTTP/1.1 200")
            await writer.drain()
            return False
        status, content = said
        text = content if isinstance(content, bytes) else json.dumps(content).encode()
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(text)}\r\n\r\n".encode() + text)
        await writer.drain()
        return True


FarSide = TypeVar("FarSide", bound=HttpFarSide)


@asynccontextmanager
async def serving(made: FarSide) -> AsyncIterator[FarSide]:
    """The far side on a free port."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        await made.serve(reader, writer)
        tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


@contextmanager
def serving_beside(made: FarSide) -> Iterator[FarSide]:
    """The far side in a thread of its own, for tests that run commands."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    stack = AsyncExitStack()

    def run(work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(10)

    try:
        yield run(stack.enter_async_context(serving(made)))
    finally:
        run(stack.aclose())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
