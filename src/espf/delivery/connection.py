"""One connection: it writes a request, and makes a `Response` or an error of what comes back.

This is the hottest code of espf. `httptools` parses; headers cost a Python call each, and nobody
reads them in the usual answer, so the raw head is kept and parsed a second time only where one is
asked for. All callbacks run synchronously in the event loop; a request costs no task and no timer.
"""

import asyncio
from typing import Protocol

import httptools

from espf.delivery.errors import (
    BrokenAnswer,
    ConnectFailed,
    ConnectionLost,
    DeliveryError,
    translated,
)
from espf.delivery.headers import (
    HEAD_LIMIT,
    SMALL_HEAD,
    ends_with_connection,
    head_objection,
    header,
    parser_for,
)
from espf.delivery.model import KEPT_BODY, Response
from espf.delivery.outbox import Outbox
from espf.handlers.port import Iteration

FRAMING_FACTOR = 8
"""A chunk of one byte takes six on the wire; an answer that takes more than this is an attack."""


LEASE_ENDED = "the lease of this instance ended before the request could leave"

EMPTY_OK = Response(200, b"", truncated=False, retry_after=None)
"""The usual answer, made once."""


class Wire(Protocol):
    """What a connection writes to: a TCP transport, or TLS over one."""

    def write(self, data: bytes) -> None:
        """Send, in the background."""

    def abort(self) -> None:
        """Close at once; `connection_lost` follows."""

    def get_write_buffer_size(self) -> int:
        """Bytes not yet handed to the kernel."""


class Owner(Protocol):
    """The pool, as a connection sees it."""

    def release(self, connection: "Connection") -> None:
        """The connection's answer is complete and it may carry another request."""

    def retire(self, connection: "Connection") -> None:
        """The connection is not to be given out again."""

    def lost(self, connection: "Connection") -> None:
        """The connection is closed."""


class StaleConnection(Exception):  # noqa: N818 - caught by the client, never seen outside
    """A reused connection ended before any byte of the answer: to be repeated on a new one."""


class Connection(asyncio.Protocol):
    """Carries one request at a time."""

    __slots__ = (
        "_begun",
        "_body",
        "_body_bytes",
        "_complete",
        "_failure",
        "_head",
        "_in_body",
        "_interim",
        "_keep",
        "_kept",
        "_loop",
        "_max_body",
        "_outbox",
        "_owner",
        "_parser",
        "_place",
        "_received",
        "_request",
        "_reused",
        "_status",
        "_surplus",
        "_waiter",
        "_wire",
        "closed",
        "deadline",
        "idle_since",
        "iteration",
    )

    def __init__(
        self, owner: Owner, outbox: Outbox, place: str, max_body: int, kept: int = KEPT_BODY
    ) -> None:
        """`kept`: bytes of an answer's body that are given; the rest is read and dropped."""
        self._loop = asyncio.get_running_loop()
        self._owner = owner
        self._place = place
        self._max_body = max_body
        self._kept = kept
        self._outbox = outbox
        self._waiter: asyncio.Future[Response] | None = None
        self._request: bytes | None = None
        """Given by `send` and not written yet."""
        self._reused = False
        self.closed = False
        self.deadline = 0.0
        self.iteration: Iteration
        self.idle_since: float | None = None
        """Set by the pool's sweep when it first sees the connection idle."""
        self._status = 0
        self._keep = False
        self._surplus = False
        self._failure: str | None = None
        self._head: bytes | bytearray = b""
        self._body: list[bytes] = []
        self._expect_answer()

    def _expect_answer(self) -> None:
        """Forget the last answer. Whatever else may have been set closed the connection."""
        self._begun = False
        self._in_body = False
        self._complete = False
        self._head = b""
        self._interim = 0
        self._received = 0
        self._body_bytes = 0

    @property
    def busy(self) -> bool:
        """Whether an answer is awaited."""
        return self._waiter is not None

    def send(
        self, request: bytes, deadline: float, iteration: Iteration
    ) -> asyncio.Future[Response]:
        """Write a request at the end of this turn of the loop.

        The future gets its Response, a DeliveryError or StaleConnection.
        """
        self.deadline = deadline
        self.iteration = iteration
        self.idle_since = None
        self._waiter = waiter = self._loop.create_future()
        self._request = request
        self._outbox.put(self)
        return waiter

    def write_request(self) -> None:
        """Write what `send` was given, unless nobody awaits its answer any more."""
        request, self._request = self._request, None
        if self._waiter is not None and request is not None:
            self._wire.write(request)

    def withhold_request(self) -> None:
        """Write nothing: it is no longer ours to send."""
        if self._waiter is not None and self._request is not None:
            self.fail(ConnectFailed(LEASE_ENDED))

    def held_up(self, by_s: float) -> None:
        """The request is written later than it was sent: the rate counts it from then."""
        if self._waiter is not None and self._request is not None:
            self.iteration.held_up(by_s)

    def cancel(self, waiter: asyncio.Future[Response]) -> None:
        """Nobody awaits this answer any more: close, unless it has come already."""
        if self._waiter is waiter:
            self._waiter = None
            self.abort()

    def fail(self, error: Exception) -> None:
        """End the exchange, if any, with this error, and the connection with it."""
        waiter, self._waiter = self._waiter, None
        self.abort()
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)

    def abort(self) -> None:
        """Close without further ado."""
        self._owner.retire(self)
        if not self.closed:
            self._wire.abort()

    # What the transport calls.

    def connection_made(self, transport: Wire) -> None:  # type: ignore[override] # TLS is one too
        """Keep the transport."""
        self._wire = transport
        self._parser = parser_for(self)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, and end the exchange once the answer is complete."""
        if self._waiter is None or self._request is not None:
            self.abort()  # nobody asked: the far side and we disagree on where answers end
            return
        self._begun = True
        if not self._in_body:
            self._keep_head(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self._complete or self._failure:
                self.fail(self._broken(error))
                return
            self._surplus = True
        if self._complete:
            self._finish()
        else:
            self._check_progress(len(data))

    def eof_received(self) -> None:
        """Complete an answer that ends with its connection; otherwise the connection is lost."""
        if (
            self._waiter is not None
            and self._in_body
            and ends_with_connection(self._head, self._interim)
        ):
            self._status = self._parser.get_status_code()
            self._finish()
        self._owner.retire(self)

    def connection_lost(self, error: Exception | None) -> None:
        """Tell the one who waits, and the pool."""
        self.closed = True
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_exception(self._loss(error))
        self._owner.lost(self)
        del self._parser  # it refers back to us; without this, only the collector would free both

    # What the parser calls.

    def on_message_begin(self) -> None:
        """Notice an answer after the answer."""
        if self._complete:
            self._surplus = True

    def on_headers_complete(self) -> None:
        """From here on there is body, unless the answer is an interim one."""
        self._in_body = True

    def on_body(self, body: bytes) -> None:
        """Keep the beginning, count the rest."""
        if self._complete:
            return
        if self._body_bytes < self._kept:
            self._body.append(body[: self._kept - self._body_bytes])
        self._body_bytes += len(body)
        if self._body_bytes > self._max_body:
            self._failure = f"a body longer than {self._max_body} bytes"

    def on_message_complete(self) -> None:
        """Note status and persistence, which the parser forgets right after; skip 1xx."""
        if self._complete:
            return
        status = self._parser.get_status_code()
        if status < 200:
            self._interim += 1
            self._in_body = False
            if status == 101:
                self._failure = "a switch to a protocol that nobody asked for (101)"
            elif status < 100:
                self._failure = f"{status:03}, which is no status"
            return
        self._status = status
        self._complete = True
        self._keep = self._parser.should_keep_alive()

    # The exchange.

    def _keep_head(self, data: bytes) -> None:
        if not self._head:
            self._head = data
            return
        if isinstance(self._head, bytes):
            self._head = bytearray(self._head)
        self._head += data

    def _check_progress(self, received: int) -> None:
        """Give up on an answer that is already too large; time is the sweep's business."""
        self._received += received
        if self._failure is None and self._received > SMALL_HEAD:
            if len(self._head) > SMALL_HEAD:
                self._failure = head_objection(self._head, self._interim)
            if self._received > HEAD_LIMIT + FRAMING_FACTOR * self._max_body:
                self._failure = "more framing than body"
        if self._failure is not None:
            self.fail(self._broken())

    def _finish(self) -> None:
        """Hand out the answer; give the connection back first, so that it is never seen idle."""
        waiter, self._waiter = self._waiter, None
        assert waiter is not None
        failure = self._failure
        if failure is None and len(self._head) > SMALL_HEAD:
            failure = head_objection(self._head, self._interim)
        if failure is None and not self._head.startswith(b"HTTP/1.") and not self._http1():
            failure = "a version of HTTP other than 1.0 and 1.1"
        if failure is not None:
            self._failure, self._waiter = failure, waiter
            self.fail(self._broken())
            return
        response = self._response() if self._body_bytes or self._status != 200 else EMPTY_OK
        if self._keep and not self._surplus and not self._wire.get_write_buffer_size():
            if self._body:
                self._body = []
            self._expect_answer()
            self._reused = True
            self._owner.release(self)
        else:
            self.abort()
        if not waiter.done():
            waiter.set_result(response)

    def _http1(self) -> bool:
        return self._head.lstrip(b"\r\n").startswith(b"HTTP/1.")

    def _response(self) -> Response:
        status = self._status
        retry_after = None if status == 200 else header(self._head, self._interim, b"retry-after")
        truncated = self._body_bytes > self._kept
        return Response(status, b"".join(self._body), truncated, retry_after)

    def _broken(self, error: BaseException | None = None) -> DeliveryError:
        if self._failure is None and error is not None:
            return translated(error, self._place, sent=True)
        return BrokenAnswer(f"{self._place} answered with {self._failure}")

    def _loss(self, error: Exception | None) -> Exception:
        if self._reused and not self._begun:
            return StaleConnection()
        written = self._request is None
        if error is not None:
            return translated(error, self._place, sent=written)
        point = "within its answer" if self._begun else "before it answered"
        return ConnectionLost(f"{self._place} closed the connection {point}", sent=written)
