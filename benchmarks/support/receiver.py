"""A receiver in Python for what nginx cannot do: answer late, never or badly, note when.

    python benchmarks/support/receiver.py [--delay-ms 20] [--fail-account N] [--fail-each N]
        [--hang] [--record FILE]

It prints its port. `GET /count` tells what it has answered; SIGTERM ends it, and then the arrival
times are in FILE, a double in seconds for each.
"""

import argparse
import asyncio
import json
import re
import signal
import time
from array import array
from pathlib import Path
from typing import Any

import uvloop

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
BAD = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
_END = b"\r\n\r\n"
_ACCOUNT = re.compile(rb'"i_account":(\d+)')


class Tally:
    """What was received so far, and how to answer."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.good = self.bad = 0
        self.delay_s = options.delay_ms / 1000
        self.hang = options.hang
        self.arrived = array("d") if options.record else None
        self.judges = bool(options.fail_account or options.fail_each)
        self._bad_account = options.fail_account
        self._each = options.fail_each

    def refuses(self, request: bytes) -> bool:
        """Whether this account's events always fail."""
        found = _ACCOUNT.search(request)
        account = int(found[1]) if found else 0
        return account == self._bad_account or bool(self._each and account % self._each == 0)


class Connection(asyncio.Protocol):
    """Takes one request after the other; a client here never sends the next before the answer."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._pending = b""

    def connection_made(self, transport: Any) -> None:  # uvloop's is no asyncio.Transport
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        request = self._pending + data if self._pending else data
        head = request.find(_END)
        if head < 0 or len(request) < head + 4 + _length(request, head):
            self._pending = request
            return
        self._pending = b""
        if request.startswith(b"GET"):
            self._tell()
        else:
            self._answer(request)

    def _answer(self, request: bytes) -> None:
        tally = self._tally
        if tally.arrived is not None:
            tally.arrived.append(time.monotonic())
        if tally.hang:
            tally.bad += 1
            return
        if tally.judges and tally.refuses(request):
            tally.bad += 1
            answer = BAD
        else:
            tally.good += 1
            answer = GOOD
        if tally.delay_s:
            asyncio.get_running_loop().call_later(tally.delay_s, self._transport.write, answer)
        else:
            self._transport.write(answer)

    def _tell(self) -> None:
        body = json.dumps({"good": self._tally.good, "bad": self._tally.bad}).encode()
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def _length(request: bytes, head: int) -> int:
    at = request.find(b"ontent-", 0, head)
    while at >= 0:
        line = request[at : request.find(b"\r\n", at)].lower()
        if line.startswith(b"ontent-length:"):
            return int(line[14:])
        at = request.find(b"ontent-", at + 1, head)
    return 0


async def serve(options: argparse.Namespace) -> None:
    loop, stop, tally = asyncio.get_running_loop(), asyncio.Event(), Tally(options)
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    server = await loop.create_server(lambda: Connection(tally), "127.0.0.1", options.port)
    print(f"port {server.sockets[0].getsockname()[1]}", flush=True)
    await stop.wait()
    if tally.arrived is not None:
        options.record.write_bytes(tally.arrived.tobytes())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--delay-ms", type=float, default=0)
    parser.add_argument("--fail-account", type=int, help="answer 503 to this account")
    parser.add_argument("--fail-each", type=int, help="answer 503 to one account in so many")
    parser.add_argument("--hang", action="store_true")
    parser.add_argument("--record", type=Path)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
