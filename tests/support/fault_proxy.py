"""The network between an instance and PostgreSQL: it can freeze, be slow, reset, and cut a COMMIT.

What is frozen arrives when it thaws, as TCP sends again what was lost; what is reset never does.
Import it as `fault_proxy`.
"""

import asyncio
import contextlib
from collections.abc import Callable

_STARTUP = 196_608 >> 16
"""Major version in the packet that begins a session; those before it ask for encryption."""
_CHUNK = 65_536


class Proxy:
    """Listens on a free port of the loopback and passes on to one server."""

    def __init__(self, port: int) -> None:
        self._target = port
        self.port = 0
        self.delay_s = 0.0
        self.commits: Callable[[Session], bool] | None = None
        """Asked when a settlement's COMMIT arrives; False keeps it from the server."""
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.sessions: set[Session] = set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        await self.reset()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def freeze(self) -> None:
        """Nothing passes, in either direction; nobody is told."""
        self._flowing.clear()

    async def thaw(self) -> None:
        self._flowing.set()

    async def reset(self) -> None:
        """End every connection, both sides."""
        for session in list(self.sessions):
            session.abort()

    async def passes(self) -> None:
        """Wait until bytes may pass."""
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        await self._flowing.wait()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with contextlib.suppress(OSError):
            server = await asyncio.open_connection("127.0.0.1", self._target)
            session = Session(self, (reader, writer), server)
            self.sessions.add(session)
            try:
                await session.run()
            finally:
                self.sessions.discard(session)
                session.abort()


Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Session:
    """One connection of a client, and its own to the server."""

    def __init__(self, proxy: Proxy, client: Pair, server: Pair) -> None:
        self._proxy = proxy
        self._client, self._to_client = client
        self._server, self._to_server = server
        self.deaf = False
        """The client hears nothing any more, and is cut off once the server has answered."""
        self._settling = False

    async def run(self) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._forth())
                    group.create_task(self._back())
            except* (OSError, asyncio.IncompleteReadError):
                pass

    def abort(self) -> None:
        self._to_client.transport.abort()
        self._to_server.transport.abort()

    async def _back(self) -> None:
        while data := await self._server.read(_CHUNK):
            await self._proxy.passes()
            if self.deaf:
                break
            self._to_client.write(data)
            await self._to_client.drain()
        raise ConnectionResetError

    async def _forth(self) -> None:
        await self._start()
        while True:
            head = await self._client.readexactly(5)
            body = await self._client.readexactly(int.from_bytes(head[1:]) - 4)
            await self._proxy.passes()
            if await self._is_kept(head[:1], body):
                continue
            self._to_server.write(head + body)
            await self._to_server.drain()

    async def _start(self) -> None:
        started = False
        while not started:
            head = await self._client.readexactly(8)
            body = await self._client.readexactly(int.from_bytes(head[:4]) - 8)
            started = int.from_bytes(head[4:6]) == _STARTUP
            await self._proxy.passes()
            self._to_server.write(head + body)

    async def _is_kept(self, kind: bytes, body: bytes) -> bool:
        """A settlement is one query with COPY in it; the end of its rows lets it go on to COMMIT."""
        if kind == b"Q":
            self._settling = b"COPY attempt" in body
        ends = kind == b"c" and self._settling and self._proxy.commits is not None
        return ends and not self._proxy.commits(self)  # type: ignore[misc] # it is not None
