"""The head of an answer, looked at only where the parser's word is not enough.

`head` is always what was received up to the end of the chunk that ended the head, and `interim` the
number of 1xx heads in front of the one that counts. All of it has been through the parser before.
"""

import contextlib
import re

import httptools

HEAD_LIMIT = 64 * 1024
"""Bytes of all heads of an answer together, interim ones included."""
HEADER_LIMIT = 200
"""Header lines of an answer."""
SMALL_HEAD = 600
"""A head of fewer bytes cannot break a limit: a header line has at least three."""
HEAD_END = re.compile(rb"\n\r?\n")

Raw = bytes | bytearray


def parser_for(protocol: object) -> httptools.HttpResponseParser:
    """Make a parser as tolerant as aiohttp's: folded headers, bare line feeds, stray spaces.

    The danger of tolerance is that two programs on one connection see different answers. Here is
    only one, a connection carries one request at a time, and surplus bytes close it.
    """
    parser = httptools.HttpResponseParser(protocol)
    parser.set_dangerous_leniencies(
        lenient_headers=True,
        lenient_optional_cr_before_lf=True,
        lenient_spaces_after_chunk_size=True,
    )
    return parser


class _Collector:
    """Takes the headers that the parser goes through."""

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value.strip()))


def headers_of(head: Raw, interim: int) -> list[tuple[bytes, bytes]]:
    """Headers of the head that counts, names in lower case, in their order."""
    start, end = _bounds(head, interim)
    collector = _Collector()
    # What follows the head may be anything; it was judged when it came.
    with contextlib.suppress(httptools.HttpParserError, httptools.HttpParserUpgrade):
        parser_for(collector).feed_data(bytes(head[start:end]))
    return collector.headers


def header(head: Raw, interim: int, name: bytes) -> str | None:
    """Value of the first header of this (lower-case) name, or None."""
    if name not in head.lower():
        return None
    for found, value in headers_of(head, interim):
        if found == name:
            return value.decode("latin-1")
    return None


def ends_with_connection(head: Raw, interim: int) -> bool:
    """Whether the answer's body is all that comes until the connection ends (RFC 9112, 6.3)."""
    for name, value in headers_of(head, interim):
        if name == b"content-length":
            return False
        if name == b"transfer-encoding" and value.lower().endswith(b"chunked"):
            return False
    return True


def head_objection(head: Raw, interim: int) -> str | None:
    """Which limit these heads break, or None."""
    _, end = _bounds(head, interim)
    if end > HEAD_LIMIT:
        return f"more than {HEAD_LIMIT // 1024} KiB of headers"
    if head.count(b"\n", 0, end) > HEADER_LIMIT + 2 * (interim + 1):
        return f"more than {HEADER_LIMIT} headers"
    return None


def _bounds(head: Raw, interim: int) -> tuple[int, int]:
    """Where the head that counts begins and ends; it may still be incomplete."""
    start = end = 0
    for _ in range(interim + 1):
        start = end
        while head[start : start + 1] in (b"\r", b"\n"):  # the parser skips empty lines here too
            start += 1
        found = HEAD_END.search(head, start)
        if found is None:
            return start, len(head)
        end = found.end()
    return start, end
