"""A small HTTP server beside an engine: a thread with a loop of its own.

It must answer when the engine's loop does not, and must not disturb it: few connections at once,
each for a few seconds and one answer, and the oldest gives way to another. What it is asked for
takes milliseconds, a few times a minute.
"""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import NamedTuple, Self

MAX_OPEN = 32
TALK_S = 10.0
"""A connection is closed after this, whatever the client is at."""
MAX_HEAD = 8192
_STOP_S = 5.0


class Request(NamedTuple):
    """What a client asks."""

    path: str
    """Without the query."""
    headers: Mapping[str, str]
    """Names in lower case."""
    client: str
    """Address of the client."""


class Response(NamedTuple):
    """What it is told."""

    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"


Answer = Callable[[Request], Awaitable[Response]]


class Server:
    """Answers GET and HEAD on a listening socket while it is entered."""

    def __init__(self, listener: socket.socket, answer: Answer) -> None:
        self._listener = listener
        self._answer = answer
        self._talks: dict[asyncio.Task[None], None] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._started = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="espf-metrics", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait(_STOP_S)
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_STOP_S)

    def _run(self) -> None:
        # Not uvloop: two loops of it in one process would share nothing but their libraries.
        with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        server = await asyncio.start_server(self._accept, sock=self._listener, limit=MAX_HEAD)
        self._started.set()
        await self._stop.wait()
        server.close()  # without waiting: the runner ends what is still talked about

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.current_task()
        assert talk is not None
        if len(self._talks) >= MAX_OPEN:
            oldest = next(iter(self._talks))
            del self._talks[oldest]
            oldest.cancel()
        self._talks[talk] = None
        try:
            async with asyncio.timeout(TALK_S):
                await self._converse(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the client's affair
        except asyncio.CancelledError:
            pass  # it gave way, or the server stops; nothing follows, and asyncio would complain
        finally:
            self._talks.pop(talk, None)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, request = _understood(head, writer.get_extra_info("peername"))
        if request is None:
            response = _plain(HTTPStatus.BAD_REQUEST)
        elif method not in ("GET", "HEAD"):
            response = _plain(HTTPStatus.METHOD_NOT_ALLOWED)
        else:
            response = await self._answer(request)
        body = b"" if method == "HEAD" else response.body
        writer.write(_head(response) + body)
        await writer.drain()


def _understood(head: str, peer: tuple[str, int] | None) -> tuple[str, Request | None]:
    first, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        return "", None
    pairs = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return words[0], Request(words[1].partition("?")[0], headers, peer[0] if peer else "")


def _plain(status: HTTPStatus) -> Response:
    return Response(status, f"{status.phrase.lower()}\n".encode())


def _head(response: Response) -> bytes:
    lines = (
        f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}",
        f"Content-Type: {response.content_type}",
        f"Content-Length: {len(response.body)}",
        "Cache-Control: no-store",
        "Connection: close",
    )
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode("latin-1")
