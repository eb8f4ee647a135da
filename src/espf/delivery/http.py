"""A small HTTP/1.1 client of one target over kept-alive connections, made for POSTs of events.

Sending HTTP is what this program exists for, and a general client costs ten times what it needs
(benchmarks/http_client.py); so this one does what a handler asks and no more: no redirects, no
cookies, no proxies, no compression. A differential test holds it to aiohttp's behaviour.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, Literal

from espf.clock import Clock
from espf.delivery.connection import LEASE_ENDED, Connection, StaleConnection
from espf.delivery.deadlines import Sweeper
from espf.delivery.dial import Dialer
from espf.delivery.errors import AnswerTimeout, ConnectFailed, ConnectionLost, DeliveryError
from espf.delivery.model import ClientOptions, Response, Target
from espf.delivery.outbox import Outbox
from espf.delivery.pool import Pool
from espf.delivery.tls import TlsOptions
from espf.handlers.port import Iteration, always

__all__ = ["ClientOptions", "HttpClient", "Response", "Target", "TlsOptions"]

CLOSE_TIMEOUT_S = 1.0
LENGTHS = tuple(b"Content-Length: %d\r\n\r\n" % length for length in range(1024))
"""The last line of a head and its end, by the length of the body: events are small."""


class HttpClient:
    """Requests to one target. Made inside a running event loop, and used from that one only."""

    def __init__(
        self,
        target: Target,
        options: ClientOptions,
        clock: Clock,
        may_send: Callable[[], bool] = always,
    ) -> None:
        """`may_send` is asked as late as can be, before each request is written.

        Raises ConfigError if a TLS file cannot be used.
        """
        self._may_send = may_send
        self._target = target
        self._options = options
        self._clock = clock
        self._dialer = Dialer(target, options)
        self._pool = Pool(options.max_connections)
        self._idle = self._pool.idle
        self._outbox = Outbox(may_send, clock.monotonic)
        self._sweeper = Sweeper(self._sweep)
        self._opening: dict[asyncio.Timeout, tuple[float, Iteration]] = {}
        self._start = self._begun("POST", target.path)
        self._closed = False

    @property
    def connections(self) -> int:
        """Connections open or being opened."""
        return self._pool.slots

    def post(
        self, head: bytes, body: bytes, timeout_s: float, iteration: Iteration
    ) -> Coroutine[Any, Any, Response]:
        """POST to the target's path, and give the answer, whatever its status.

        `head` holds complete header lines, each with its CRLF, without Host, Content-Length and
        what else concerns the connection. The deadline is the earlier of now + `timeout_s` and
        `iteration.ends_at`, which may still be set while this waits. Raises a DeliveryError;
        cancellation closes the connection.
        """
        return self._exchange(self._start, head, body, timeout_s, iteration)

    def request(
        self,
        method: Literal["GET", "PUT", "PATCH", "DELETE"],
        path: str,
        head: bytes,
        body: bytes,
        timeout_s: float,
    ) -> Coroutine[Any, Any, Response]:
        """Another request to the same host, like `post`; `path` is whole, and encoded.

        Raises ValueError for a path that would break the request line.
        """
        if not path.startswith("/") or any(not "!" <= letter < "\x7f" for letter in path):
            raise ValueError("the path of a request begins with / and holds only visible ASCII")
        begun = self._begun(method, path)
        return self._exchange(begun, head, body, timeout_s, Iteration(1))

    def _begun(self, method: str, path: str) -> bytes:
        return f"{method} {path} HTTP/1.1\r\nHost: {self._target.host_header}\r\n".encode()

    async def _exchange(
        self, start: bytes, head: bytes, body: bytes, timeout_s: float, iteration: Iteration
    ) -> Response:
        length = len(body)
        end = LENGTHS[length] if length < len(LENGTHS) else b"Content-Length: %d\r\n\r\n" % length
        request = b"".join((start, head, end, body))
        deadline = self._clock.monotonic() + timeout_s
        sweeper = self._sweeper
        if not sweeper.active or timeout_s < sweeper.finest_s:
            sweeper.watch(timeout_s)
        if self._idle:
            connection = self._idle.pop()
        else:
            connection = await self._connection(deadline, iteration)
        waiter = connection.send(request, deadline, iteration)
        try:
            return await waiter
        except StaleConnection:
            return await self._repeat(request, deadline, iteration)
        except asyncio.CancelledError:
            connection.cancel(waiter)
            raise

    async def close(self) -> None:
        """Close all connections; what is still open ends as ConnectionLost."""
        self._closed = True
        self._sweeper.stop()
        for scope in self._opening:
            if not scope.expired():
                scope.reschedule(asyncio.get_running_loop().time())
        for connection in list(self._pool.live):
            connection.fail(ConnectionLost(f"the client of {self._target.place} was closed"))
        # Aborted transports are gone at the next turn of the loop; a bound, should one be stuck.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._pool.drained()

    async def _repeat(self, request: bytes, deadline: float, iteration: Iteration) -> Response:
        """Once more, on a new connection: the far side had closed the old one before it read."""
        try:
            connection = await self._connection(deadline, iteration, new=True)
        except DeliveryError as error:
            error.sent = True  # by the first try; nobody knows what the far side read of it
            raise
        waiter = connection.send(request, deadline, iteration)
        try:
            return await waiter
        except asyncio.CancelledError:
            connection.cancel(waiter)
            raise

    async def _connection(
        self, deadline: float, iteration: Iteration, *, new: bool = False
    ) -> Connection:
        """A connection, found or opened within the deadline. Nothing is sent before."""
        self._refuse_if_closed()
        began_s = self._clock.monotonic()
        scope = asyncio.timeout(None)
        try:
            async with scope:
                self._opening[scope] = (deadline, iteration)
                connection = await self._open(self._left(deadline, iteration), new=new)
        except TimeoutError as error:
            self._refuse_if_closed()
            raise ConnectFailed(
                f"no connection to {self._target.place} within the time given"
            ) from error
        finally:
            self._opening.pop(scope, None)
        if self._closed:
            connection.abort()
            self._refuse_if_closed()
        if not self._may_send():
            connection.abort()
            raise ConnectFailed(LEASE_ENDED)
        iteration.held_up(self._clock.monotonic() - began_s)
        return connection

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise ConnectFailed(f"the client of {self._target.place} is closed")

    async def _open(self, left_s: Callable[[], float], *, new: bool) -> Connection:
        found = await self._pool.take(first=new)
        if found is not None and not new:
            return found
        if found is not None:
            found.abort()
            return await self._open(left_s, new=new)
        connection = Connection(
            self._pool,
            self._outbox,
            self._target.place,
            self._options.max_answer_bytes,
            self._options.kept_answer_bytes,
        )
        try:
            await self._dialer.open(connection, left_s)
        except BaseException:
            self._pool.free()
            raise
        if connection.closed:
            self._pool.free()
            raise ConnectFailed(
                f"{self._target.place} closed the connection as soon as it was open"
            )
        self._pool.opened(connection)
        return connection

    def _left(self, deadline: float, iteration: Iteration) -> Callable[[], float]:
        return lambda: max(0.0, min(deadline, iteration.ends_at) - self._clock.monotonic())

    # Time.

    def _sweep(self) -> float | None:
        """End what is overdue; say when to look again (see Sweeper)."""
        now = self._clock.monotonic()
        for scope, (deadline, iteration) in self._opening.items():
            if (now >= deadline or now >= iteration.ends_at) and not scope.expired():
                scope.reschedule(asyncio.get_running_loop().time())
        busy = bool(self._opening)
        for connection in list(self._pool.live):
            if not connection.busy:
                continue
            busy = True
            if now >= connection.deadline or now >= connection.iteration.ends_at:
                connection.fail(AnswerTimeout(f"{self._target.place} did not answer in time"))
        oldest_s = self._age_idle(now)
        return 0 if busy else oldest_s

    def _age_idle(self, now: float) -> float | None:
        """Close connections that were idle for too long; seconds until the next one is."""
        next_s: float | None = None
        for connection in list(self._idle):
            if connection.idle_since is None:
                connection.idle_since = now
            left_s = connection.idle_since + self._options.idle_timeout_s - now
            if left_s <= 0:
                connection.abort()
            elif next_s is None or left_s < next_s:
                next_s = left_s
        return next_s
