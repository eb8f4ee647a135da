"""Targets, and the heads of answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espf.delivery.headers import ends_with_connection, head_objection, header, headers_of
from espf.delivery.model import Target


@pytest.mark.parametrize(
    ("url", "host_header", "path"),
    [
        ("http://hss.example", "hss.example", "/"),
        ("http://hss.example:80/a", "hss.example", "/a"),
        ("https://hss.example:443/a?b=c", "hss.example", "/a?b=c"),
        ("https://hss.example:80/", "hss.example:80", "/"),
        ("http://[::1]:5000/x", "[::1]:5000", "/x"),
        ("http://[2001:db8::1]", "[2001:db8::1]", "/"),
        ("http://hss.example?b", "hss.example", "/?b"),
    ],
)
def test_a_url_becomes_a_target(url, host_header, path) -> None:
    target = Target.from_url(url)
    assert (target.host_header, target.path) == (host_header, path)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a/",
        "http:///x",
        "http://u:p@a/",
        "http://a/#f",
        "http://a:0/",
        "http://a:65536/",
        "http://a/a b",
        "http://a/ü",
        "http://ü.example/",
        "a",
        "",
    ],
)
def test_what_cannot_be_a_target_is_refused(url) -> None:
    with pytest.raises(ValueError, match=r"URL|port|Port"):
        Target.from_url(url)


@pytest.mark.parametrize("path", ["/a\r\nX: y", "/a b", "/\x00", "", "a"])
def test_a_path_cannot_forge_a_second_request(path) -> None:
    with pytest.raises(ValueError, match="URL"):
        Target("http", "a", 80, path)


HEAD = b"HTTP/1.1 200 OK\r\nA: 1\r\nRetry-After: 5\r\n\r\n"


@pytest.mark.parametrize("end", [b"", b"Retry-After: 9\r\n\r\n", b"\r\n", HEAD])
def test_headers_are_read_up_to_the_end_of_the_head_that_counts(end) -> None:
    interim = b"HTTP/1.1 103 Early\r\nA: 0\r\n\r\n"
    head = interim + b"\r\n" + interim + HEAD + end
    assert headers_of(head, 2) == [(b"a", b"1"), (b"retry-after", b"5")]
    assert header(head, 2, b"retry-after") == "5"
    assert header(head, 2, b"x-none") is None


@pytest.mark.parametrize(
    ("lines", "until_end"),
    [
        (b"", True),
        (b"A: b\r\n", True),
        (b"Content-Length: 5\r\n", False),
        (b"Transfer-Encoding: gzip, chunked\r\n", False),
        (b"Transfer-Encoding: identity\r\n", True),
    ],
)
def test_a_body_without_a_length_lasts_until_the_connection_ends(lines, until_end) -> None:
    assert ends_with_connection(b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n", 0) is until_end


@pytest.mark.parametrize(
    ("count", "size", "objects"), [(200, 1, False), (202, 1, True), (1, 65536, True)]
)
def test_heads_are_limited_in_lines_and_bytes(count, size, objects) -> None:
    head = b"HTTP/1.1 200 OK\r\n" + b"A: " + b"x" * size + b"\r\n"
    head += b"A: b\r\n" * (count - 1) + b"\r\n" + b"\n" * 1000
    assert (head_objection(head, 0) is not None) is objects


@given(st.binary(max_size=300), st.integers(0, 3))
def test_no_head_makes_the_second_look_fail(head, interim) -> None:
    headers_of(head, interim)
    head_objection(head, interim)
