"""Our client against aiohttp, at one hostile server: the same status, body or kind of failure.

Where we differ on purpose, the table says so, and why.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aiohttp
import pytest
import uvloop

from espf.clock import SystemClock
from espf.delivery.errors import DeliveryError
from espf.delivery.http import ClientOptions, HttpClient, Target
from espf.handlers.port import Iteration

HEAD = b"Content-Type: application/json\r\n"
BODY = b'{"event_type":"Account/Blocked","variables":{}}'
MAX_BODY = 65536
OK = b"HTTP/1.1 200 OK\r\n"
EMPTY = OK + b"Content-Length: 0\r\n\r\n"
HELLO = OK + b"Content-Length: 5\r\n\r\nhello"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
LOOPS = {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}

Seen = tuple[int, bytes] | str
"""Status and body, or the class of the error."""


@dataclass(frozen=True)
class Case:
    name: str
    answer: tuple[object, ...]
    expected: Seen
    aiohttp: Seen | None = None
    """What aiohttp makes of it, where that is something else."""
    reason: str = ""
    timeout_s: float = 5.0


SHORT_S = 0.25

CASES = [
    Case("an answer in one piece", (HELLO,), (200, b"hello")),
    Case("an answer byte by byte", (("drip", HELLO),), (200, b"hello")),
    Case("a slow head", (("drip", EMPTY, 0.002),), (200, b"")),
    Case(
        "a head split inside a line end", (OK[:-1], b"\nContent-Length: 0\r\n\r", b"\n"), (200, b"")
    ),
    Case("Content-Length 0", (EMPTY,), (200, b"")),
    Case("status 204 without a length", (b"HTTP/1.1 204 No Content\r\n\r\n",), (204, b"")),
    Case(
        "status 304 with a length and no body",
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",),
        (304, b""),
    ),
    Case(
        "a redirect, which nobody follows",
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",),
        (302, b""),
    ),
    Case(
        "an error status with a body",
        (b"HTTP/1.1 422 No\r\nContent-Length: 3\r\n\r\nbad",),
        (422, b"bad"),
    ),
    Case("an empty reason", (b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n",), (200, b"")),
    Case("no reason and no space", (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",), (200, b"")),
    Case(
        "a body until the end of the connection", (OK + b"\r\nhel", b"lo", "fin"), (200, b"hello")
    ),
    Case("no length, no body, only an end", (OK + b"\r\n", "fin"), (200, b"")),
    Case("HTTP/1.0 until the end", (b"HTTP/1.0 200 OK\r\n\r\nhello", "fin"), (200, b"hello")),
    Case(
        "HTTP/1.0 with a length",
        (b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",),
        (200, b"hello"),
    ),
    Case(
        "Connection: close",
        (OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nhi", "fin"),
        (200, b"hi"),
    ),
    Case("chunks", (CHUNKED + b"5\r\nhello\r\n0\r\n\r\n",), (200, b"hello")),
    Case(
        "chunks byte by byte",
        (CHUNKED, ("drip", b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n")),
        (200, b"hello"),
    ),
    Case(
        "chunks with an extension", (CHUNKED + b"5;a=b\r\nhello\r\n0;c\r\n\r\n",), (200, b"hello")
    ),
    Case(
        "chunks with trailers",
        (CHUNKED + b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-B: 2\r\n\r\n",),
        (200, b"hello"),
    ),
    Case(
        "chunk sizes in capital hexadecimal with zeros",
        (CHUNKED + b"000A\r\n0123456789\r\n0\r\n\r\n",),
        (200, b"0123456789"),
    ),
    Case(
        "a chunk size that is none", (CHUNKED + b"xyz\r\nhello\r\n0\r\n\r\n", "fin"), "BrokenAnswer"
    ),
    Case("a negative chunk size", (CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n", "fin"), "BrokenAnswer"),
    Case("an end inside a chunk", (CHUNKED + b"5\r\nhel", "fin"), "ConnectionLost"),
    Case("an end before the last chunk", (CHUNKED + b"5\r\nhello\r\n", "fin"), "ConnectionLost"),
    Case(
        "an end inside a counted body",
        (OK + b"Content-Length: 9\r\n\r\nhello", "fin"),
        "ConnectionLost",
    ),
    Case("an end inside the head", (b"HTTP/1.1 200 OK\r\nContent-Le", "fin"), "ConnectionLost"),
    Case("an end before any byte", ("fin",), "ConnectionLost"),
    Case("a reset before any byte", ("reset",), "ConnectionLost"),
    Case(
        "a reset inside the body",
        (OK + b"Content-Length: 9\r\n\r\nhello", "reset"),
        "ConnectionLost",
    ),
    Case("100 before the answer", (b"HTTP/1.1 100 Continue\r\n\r\n", HELLO), (200, b"hello")),
    Case(
        "103 and 102 in one piece with the answer",
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + HELLO,),
        (200, b"hello"),
    ),
    Case(
        "101 that nobody asked for",
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",),
        "BrokenAnswer",
        (101, b""),
        "a handler cannot go on with another protocol",
    ),
    Case(
        "101 without Upgrade",
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n",),
        "BrokenAnswer",
        (101, b""),
        "the same",
    ),
    Case("no answer at all", ("stall",), "AnswerTimeout", timeout_s=SHORT_S),
    Case("a head that never ends", (OK, "stall"), "AnswerTimeout", timeout_s=SHORT_S),
    Case(
        "a body that never ends",
        (OK + b"Content-Length: 9\r\n\r\nhello", "stall"),
        "AnswerTimeout",
        timeout_s=SHORT_S,
    ),
    Case(
        "a trickle for ever",
        (CHUNKED, ("endless", b"1\r\nx\r\n", 0.01)),
        "AnswerTimeout",
        timeout_s=SHORT_S,
    ),
    Case(
        "1xx for ever, slowly",
        (("endless", b"HTTP/1.1 102 Processing\r\n\r\n", 0.01),),
        "AnswerTimeout",
        timeout_s=SHORT_S,
    ),
    Case(
        "1xx for ever, fast",
        (("endless", b"HTTP/1.1 102 Processing\r\n\r\n" * 100),),
        "BrokenAnswer",
        "AnswerTimeout",
        "all heads together are limited to 64 KiB",
        SHORT_S,
    ),
    Case(
        "an endless body without a length",
        (OK + b"\r\n", ("endless", b"x" * 8192)),
        "BrokenAnswer",
        "AnswerTimeout",
        "a body is limited",
        SHORT_S,
    ),
    Case(
        "an endless body in chunks",
        (CHUNKED, ("endless", b"2000\r\n" + b"x" * 8192 + b"\r\n")),
        "BrokenAnswer",
        "AnswerTimeout",
        "a body is limited",
        SHORT_S,
    ),
    Case(
        "a body longer than we take, announced",
        (OK + b"Content-Length: 100000\r\n\r\n" + b"x" * 100000,),
        "BrokenAnswer",
        (200, b"x" * 4096),
        "a body is limited",
    ),
    Case(
        "an endless chunk extension",
        (CHUNKED + b"5;", ("endless", b"x" * 8192)),
        "BrokenAnswer",
        "AnswerTimeout",
        "nothing on the wire is unlimited",
        0.5,
    ),
    Case(
        "endless trailers", (CHUNKED + b"0\r\n", ("endless", b"X-A: b\r\n" * 1000)), "BrokenAnswer"
    ),
    Case(
        "a header of 100 KB", (OK + b"X-A: " + b"a" * 100_000 + b"\r\n\r\n", "fin"), "BrokenAnswer"
    ),
    Case("an endless header", (OK + b"X-A: ", ("endless", b"a" * 8192)), "BrokenAnswer"),
    Case("endless headers", (OK, ("endless", b"X-A: b\r\n" * 100)), "BrokenAnswer"),
    Case("201 headers", (OK + b"X-A: b\r\n" * 200 + b"Content-Length: 0\r\n\r\n",), "BrokenAnswer"),
    Case("121 headers", (OK + b"X-A: b\r\n" * 120 + b"Content-Length: 0\r\n\r\n",), (200, b"")),
    Case("garbage", (b"\x00\xff\x13garbage\r\n\r\n", "fin"), "BrokenAnswer"),
    Case("another protocol's greeting", (b"SSH-2.0-OpenSSH_9.2\r\n", "fin"), "BrokenAnswer"),
    Case("a TLS alert", (b"\x15\x03\x01\x00\x02\x02\x46", "fin"), "BrokenAnswer"),
    Case(
        "HTTP/2.0 in the status line",
        (b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",),
        "BrokenAnswer",
        (200, b""),
        "HTTP/2 has no status line; whoever writes this is confused",
    ),
    Case("HTTP/0.9, a body alone", (b"hello", "fin"), "BrokenAnswer"),
    Case(
        "a status of two digits",
        (b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n", "fin"),
        "BrokenAnswer",
    ),
    Case(
        "a status of four digits",
        (b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n", "fin"),
        "BrokenAnswer",
    ),
    Case(
        "a status of 099",
        (b"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n", "fin"),
        "BrokenAnswer",
        (99, b""),
        "statuses begin at 100",
    ),
    Case("a status beyond 599", (b"HTTP/1.1 999 OK\r\nContent-Length: 0\r\n\r\n",), (999, b"")),
    Case(
        "a folded header",
        (OK + b"X-A: one\r\n two\r\nContent-Length: 5\r\n\r\nhello",),
        (200, b"hello"),
    ),
    Case(
        "a header without a colon",
        (OK + b"nonsense\r\nContent-Length: 0\r\n\r\n", "fin"),
        "BrokenAnswer",
    ),
    Case("a space before the colon", (OK + b"Content-Length : 0\r\n\r\n",), (200, b"")),
    Case(
        "a NUL in a header",
        (OK + b"X-A: a\x00b\r\nContent-Length: 0\r\n\r\n", "fin"),
        (200, b""),
        "BrokenAnswer",
        "headers that nobody reads are not looked at",
    ),
    Case(
        "Content-Length twice, the same",
        (OK + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", "fin"),
        "BrokenAnswer",
    ),
    Case(
        "Content-Length twice, in conflict",
        (OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "fin"),
        "BrokenAnswer",
    ),
    Case(
        "a negative Content-Length",
        (OK + b"Content-Length: -5\r\n\r\nhello", "fin"),
        "BrokenAnswer",
    ),
    Case(
        "a Content-Length that is no number",
        (OK + b"Content-Length: five\r\n\r\nhello", "fin"),
        "BrokenAnswer",
    ),
    Case(
        "a Content-Length beyond 64 bits",
        (OK + b"Content-Length: 99999999999999999999999\r\n\r\nhello", "fin"),
        "BrokenAnswer",
    ),
    Case(
        "both Content-Length and chunks",
        (OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",),
        "BrokenAnswer",
    ),
    Case(
        "a transfer coding that is not chunked",
        (OK + b"Transfer-Encoding: identity\r\n\r\nhello", "fin"),
        (200, b"hello"),
    ),
    Case(
        "bytes after the answer",
        (HELLO + b"surplus",),
        (200, b"hello"),
        "BrokenAnswer",
        "the answer was complete; the connection is not used again",
    ),
    Case("a second answer after the answer", (HELLO + HELLO,), (200, b"hello")),
    Case("an empty line before the answer", (b"\r\n" + HELLO,), (200, b"hello")),
    Case("bare line feeds", (HELLO.replace(b"\r\n", b"\n"),), (200, b"hello")),
]


async def ours(url: str, timeout_s: float) -> Seen:
    client = HttpClient(
        Target.from_url(url), ClientOptions(max_answer_bytes=MAX_BODY), SystemClock()
    )
    try:
        response = await client.post(HEAD, BODY, timeout_s, Iteration(0))
    except DeliveryError as error:
        return type(error).__name__ if error.sent else "not sent"
    finally:
        await client.close()
    return response.status, response.body


async def theirs(url: str, timeout_s: float) -> Seen:
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        try:
            async with session.post(url, data=BODY, allow_redirects=False) as response:
                return response.status, (await response.read())[:4096]
        except (aiohttp.ClientError, TimeoutError) as error:
            return kind(error)


def kind(error: Exception) -> str:
    """Name the class of ours that says the same."""
    if isinstance(error, TimeoutError):
        return "AnswerTimeout"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "ConnectRefused"
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError):
        return "ConnectionLost"
    if isinstance(error, aiohttp.ClientPayloadError) and "not completed" in str(error).lower():
        cause = error.__cause__
        broken = type(cause).__name__ == "TransferEncodingError" and "Not enough" not in str(cause)
        return "BrokenAnswer" if broken else "ConnectionLost"
    return "BrokenAnswer"


async def see(client: Callable[[str, float], Awaitable[Seen]], case: Case, hostile) -> Seen:
    async with hostile([[case.answer]]) as server:
        with contextlib.suppress(asyncio.CancelledError):
            return await client(server.url, case.timeout_s)
    raise AssertionError("cancelled")


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_our_client_makes_of_an_answer_what_the_table_says(case, loop, hostile) -> None:
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        assert runner.run(see(ours, case, hostile)) == case.expected


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_aiohttp_makes_of_it_the_same_or_what_the_table_admits(case, hostile) -> None:
    with asyncio.Runner() as runner:
        seen = runner.run(see(theirs, case, hostile))
    assert seen == (case.aiohttp if case.aiohttp is not None else case.expected)


def test_every_difference_from_aiohttp_has_its_reason() -> None:
    assert [case.name for case in CASES if case.aiohttp is not None and not case.reason] == []
