"""The receiving application: an ASGI app that answers as the handbook's receivers do.

Order of checks: method, Date and authentication, content type, body; then it fails if told so;
then it acts, which here means to remember the event's number and to write a line.
"""

import asyncio
import json
import random as randomness
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from espf.clock import Clock, SystemClock
from espf.errors import StorageError
from espf.receiver.auth import verify
from espf.receiver.dedupe import Seen, SeenInFile, SeenInMemory
from espf.receiver.failures import Failures, Fault
from espf.receiver.methods import AuthMethod
from espf.receiver.options import ReceiverOptions
from espf.receiver.record import Entry, Recorder
from espf.receiver.request import MAX_BODY_BYTES, Received, Refusal, Request, parse

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

ABORT = "espf.abort"
"""ASGI extension that our server offers: its `close` ends the connection without an answer."""


class ReceiverApp:
    """One receiver. Holds its files open until `close`."""

    def __init__(
        self,
        options: ReceiverOptions,
        *,
        seen: Seen,
        recorder: Recorder,
        clock: Clock,
        random: Callable[[], float],
    ) -> None:
        self.stopping = asyncio.Event()
        """Set when the server is to end: answers being delayed are given at once."""
        self._options = options
        self._seen = seen
        self._recorder = recorder
        self._clock = clock
        self._failures = Failures(options, random)

    def close(self) -> None:
        """Close the files."""
        self._seen.close()
        self._recorder.close()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        body = await _read(receive)
        if body is None:
            return
        request = _request(scope, body)
        entry = self._act(self._judge(request))
        await self._delay()
        if entry.status is None and await _dropped(scope, receive):
            return
        await self._answer(send, entry)

    def _judge(self, request: Request) -> Entry:
        """Decide what becomes of a request."""
        now_us = self._clock.now_us()
        received = self._admit(request)
        if isinstance(received, Refusal):
            return Entry(now_us, request, received.status, reason=received.reason)
        fault = self._failures.next()
        if fault is Fault.STATUS:
            reason = "told to fail"
            return Entry(now_us, request, self._failures.status, received.event, reason=reason)
        status = None if fault is Fault.DROP else 200
        return Entry(now_us, request, status, received.event, i_event=received.i_event)

    def _admit(self, request: Request) -> Received | Refusal:
        if request.method != "POST":
            return Refusal(405, "events come by POST")
        if len(request.body) > MAX_BODY_BYTES:
            return Refusal(413, f"the body is larger than {MAX_BODY_BYTES} bytes")
        return verify(request, self._options) or parse(request)

    def _act(self, entry: Entry) -> Entry:
        """Write the request down, then remember the event: a failed write may be repeated."""
        try:
            return self._stored(entry)
        except StorageError as error:
            sys.stderr.write(f"{error}\n")
            return entry._replace(status=500, reason="the receiver cannot store what it gets")

    def _stored(self, entry: Entry) -> Entry:
        i_event = entry.i_event
        if i_event is None:
            self._recorder.write(entry)
            return entry
        entry = entry._replace(duplicate=i_event in self._seen)
        self._recorder.write(entry)
        self._seen.add(i_event)
        return entry

    async def _delay(self) -> None:
        if not self._options.delay_s:
            return
        try:
            async with asyncio.timeout(self._options.delay_s):
                await self.stopping.wait()
        except TimeoutError:
            pass

    async def _answer(self, send: Send, entry: Entry) -> None:
        status = 500 if entry.status is None else entry.status
        body = _answer_body(entry)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
        if status == 401 and self._options.auth is not AuthMethod.NONE:
            scheme = self._options.auth_type or self._options.auth.value
            headers.append((b"www-authenticate", f'{scheme} realm="espf receiver"'.encode()))
        if status == 405:
            headers.append((b"allow", b"POST"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def create_app(
    options: ReceiverOptions,
    *,
    clock: Clock | None = None,
    random: Callable[[], float] = randomness.random,
) -> ReceiverApp:
    """Make a receiver with its memory and record. Raises StorageError if a file cannot be used."""
    if options.record is None:
        seen: Seen = SeenInMemory(options.remember)
        recorder = Recorder(sys.stdout, options.auth_header)
    else:
        recorder = Recorder.to_file(options.record, options.auth_header)
        seen = SeenInFile(options.record.with_name(options.record.name + ".seen"))
    return ReceiverApp(
        options, seen=seen, recorder=recorder, clock=clock or SystemClock(), random=random
    )


def _answer_body(entry: Entry) -> bytes:
    if entry.reason is not None:
        return json.dumps({"error": entry.reason}).encode()
    return b'{"duplicate":true}' if entry.duplicate else b"{}"


async def _read(receive: Receive) -> bytes | None:
    """The whole body, cut off a little past the limit; None if the caller went away."""
    body = bytearray()
    while len(body) <= MAX_BODY_BYTES:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    return bytes(body)


def _request(scope: Message, body: bytes) -> Request:
    query = scope["query_string"].decode("latin-1")
    path = scope["raw_path"].decode("latin-1")
    headers = tuple((n.decode("latin-1"), v.decode("latin-1")) for n, v in scope["headers"])
    return Request(scope["method"], f"{path}?{query}" if query else path, headers, body)


async def _dropped(scope: Message, receive: Receive) -> bool:
    """Close the connection, if the server lets us, and wait until it is closed."""
    offered = scope.get("extensions", {}).get(ABORT)
    if offered is None:
        return False
    offered["close"]()
    while (await receive())["type"] != "http.disconnect":
        pass
    return True
