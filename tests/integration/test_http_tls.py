"""TLS: which certificates are accepted, which are not, and what aiohttp says to the same server."""

import asyncio
import contextlib
import datetime as dt
import socket
import ssl
import threading
import warnings
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
import trustme
import uvloop

from espf.clock import SystemClock
from espf.delivery.errors import AnswerTimeout, ConnectFailed, ConnectionLost, TlsFailed
from espf.delivery.http import ClientOptions, HttpClient, Response, Target, TlsOptions
from espf.errors import ConfigError
from espf.handlers.port import Iteration

HEAD = b"Content-Type: application/json\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LOOPS = {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}
AUTHORITY = trustme.CA()
STRANGER = trustme.CA()
EXPIRED = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


@pytest.fixture(params=LOOPS)
def run(request) -> Callable[[Awaitable[None]], None]:
    def runner(coroutine) -> None:
        with asyncio.Runner(loop_factory=LOOPS[request.param]) as loop:
            loop.run(coroutine)

    return runner


@pytest.fixture
def ca_file(tmp_path) -> str:
    path = tmp_path / "ca.pem"
    AUTHORITY.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture
def client_files(tmp_path) -> tuple[str, str]:
    cert, key = tmp_path / "client.pem", tmp_path / "client.key"
    leaf = AUTHORITY.issue_cert("espf@operator.example")
    leaf.cert_chain_pems[0].write_to_path(str(cert))
    leaf.private_key_pem.write_to_path(str(key))
    return str(cert), str(key)


def server_side(
    leaf: trustme.LeafCert, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(made)
    with warnings_off():
        made.minimum_version = made.maximum_version = version
    return made


@contextlib.contextmanager
def warnings_off():
    """TLS 1.1 is deprecated, which is why a server that has only that is tested against."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


async def post(port: int, tls: TlsOptions, *, times: int = 1, timeout_s: float = 10) -> Response:
    target = Target("https", "127.0.0.1", port, "/")
    client = HttpClient(target, ClientOptions(tls=tls), SystemClock())
    try:
        for _ in range(times):
            response = await client.post(HEAD, b"{}", timeout_s, Iteration(0))
    finally:
        await client.close()
    return response


async def aiohttp_refuses(port: int, context: ssl.SSLContext) -> bool:
    async with aiohttp.ClientSession() as session:
        try:
            async with session.post(f"https://127.0.0.1:{port}/", data=b"{}", ssl=context):
                return False
        except aiohttp.ClientError:  # of many kinds: with TLS 1.3 it comes after the handshake
            return True


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_certificate_of_our_authority_is_accepted_and_the_connection_kept(
    run, hostile, ca_file, version
) -> None:
    async def play() -> None:
        tls = server_side(AUTHORITY.issue_cert("127.0.0.1"), version)
        async with hostile([[[OK]]], tls=tls) as server:
            assert await post(server.port, TlsOptions(ca_file), times=5) == (
                200,
                b"ok",
                False,
                None,
            )
            assert server.connections == 1

    run(play())


LEAVES = {
    "an unknown authority": lambda: STRANGER.issue_cert("127.0.0.1"),
    "a wrong name": lambda: AUTHORITY.issue_cert("hss.operator.example"),
    "a wrong address": lambda: AUTHORITY.issue_cert("127.0.0.2"),
    "an expired one": lambda: AUTHORITY.issue_cert("127.0.0.1", not_after=EXPIRED),
}


@pytest.mark.parametrize("kind", LEAVES)
def test_a_wrong_certificate_is_refused_before_anything_is_sent_as_aiohttp_does(
    run, hostile, ca_file, kind
) -> None:
    async def play() -> None:
        async with hostile([[[OK]]], tls=server_side(LEAVES[kind]())) as server:
            with pytest.raises(TlsFailed, match="certificate") as caught:
                await post(server.port, TlsOptions(ca_file))
            assert not caught.value.sent
            theirs = ssl.create_default_context(cafile=ca_file)
            assert await aiohttp_refuses(server.port, theirs)
            assert server.requests == []

    run(play())


@pytest.mark.parametrize("kind", LEAVES)
def test_with_verify_off_any_certificate_will_do(run, hostile, kind) -> None:
    async def play() -> None:
        async with hostile([[[OK]]], tls=server_side(LEAVES[kind]())) as server:
            assert (await post(server.port, TlsOptions(verify=False))).status == 200

    run(play())


@contextlib.contextmanager
def blocking_server(tls: ssl.SSLContext, accepts: int):
    """A server of plain blocking sockets, which sends the alert that asyncio's server forgets."""
    listener = socket.create_server(("127.0.0.1", 0))
    requests: list[bytes] = []

    def serve() -> None:
        for _ in range(accepts):
            raw, _ = listener.accept()
            with tls.wrap_socket(raw, server_side=True, do_handshake_on_connect=False) as sock:
                sock.settimeout(10)
                with contextlib.suppress(ssl.SSLError):
                    sock.do_handshake()
                    requests.append(sock.recv(65536))
                    sock.sendall(OK)
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(65536):  # an end with unread bytes would be a reset
                    pass

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1], requests
    finally:
        thread.join(10)
        listener.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_certificate_that_the_server_wants_is_given(
    run, ca_file, client_files, version
) -> None:
    async def play() -> None:
        tls = server_side(AUTHORITY.issue_cert("127.0.0.1"), version)
        tls.verify_mode = ssl.CERT_REQUIRED
        AUTHORITY.configure_trust(tls)
        with blocking_server(tls, accepts=3) as (port, requests):
            assert (await post(port, TlsOptions(ca_file, *client_files))).status == 200
            with pytest.raises(TlsFailed) as caught:
                await post(port, TlsOptions(ca_file))
            # In TLS 1.3 the server judges our certificate after we may speak, so that may be out.
            assert version == ssl.TLSVersion.TLSv1_3 or not caught.value.sent
            assert await aiohttp_refuses(port, ssl.create_default_context(cafile=ca_file))
            assert len(requests) == 1

    run(play())


def test_a_server_that_knows_no_tls_newer_than_1_1_is_refused(run, hostile, ca_file) -> None:
    async def play() -> None:
        tls = server_side(AUTHORITY.issue_cert("127.0.0.1"), ssl.TLSVersion.TLSv1_1)
        async with hostile([[[OK]]], tls=tls) as server:
            with pytest.raises(TlsFailed):
                await post(server.port, TlsOptions(ca_file))

    run(play())


def test_a_server_without_tls_is_a_tls_failure(run, hostile, ca_file) -> None:
    async def play() -> None:
        async with hostile([[[b"HTTP/1.1 400 Bad\r\n\r\n"]]], read_first=False) as server:
            with pytest.raises(TlsFailed) as caught:
                await post(server.port, TlsOptions(ca_file))
            assert not caught.value.sent

    run(play())


def test_a_server_that_ends_within_the_handshake_got_nothing(run, hostile, ca_file) -> None:
    async def play() -> None:
        async with hostile([[["fin"]]], read_first=False) as server:
            with pytest.raises((ConnectFailed, TlsFailed)) as caught:
                await post(server.port, TlsOptions(ca_file))
            assert not caught.value.sent

    run(play())


def test_a_handshake_that_never_ends_is_ended_by_the_deadline(run, hostile, ca_file) -> None:
    async def play() -> None:
        async with hostile([[["stall"]]], read_first=False) as server:
            with pytest.raises(ConnectFailed) as caught:
                await post(server.port, TlsOptions(ca_file), timeout_s=0.1)
            assert not caught.value.sent

    run(play())


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ((b"HTTP/1.1 200 OK\r\n\r\nhello", "fin"), (200, b"hello")),
        ((("drip", OK),), (200, b"ok")),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n" + b"x" * 70000,), (200, b"x" * 4096)),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", "fin"), ConnectionLost),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", "reset"), ConnectionLost),
        (("stall",), AnswerTimeout),
    ],
)
def test_answers_over_tls_end_as_they_do_without(run, hostile, ca_file, answer, outcome) -> None:
    async def play() -> None:
        tls = server_side(AUTHORITY.issue_cert("127.0.0.1"))
        timeout_s = 0.3 if outcome is AnswerTimeout else 10
        async with hostile([[answer]], tls=tls) as server:
            if isinstance(outcome, tuple):
                response = await post(server.port, TlsOptions(ca_file), timeout_s=timeout_s)
                assert (response.status, response.body) == outcome
            else:
                with pytest.raises(outcome):
                    await post(server.port, TlsOptions(ca_file), timeout_s=timeout_s)

    run(play())


def test_a_large_request_goes_through_tls_in_one_piece(run, hostile, ca_file) -> None:
    async def play() -> None:
        tls = server_side(AUTHORITY.issue_cert("127.0.0.1"))
        target_body = bytes(range(256)) * 8192
        async with hostile([[[OK]]], tls=tls) as server:
            client = HttpClient(
                Target("https", "127.0.0.1", server.port, "/"),
                ClientOptions(tls=TlsOptions(ca_file)),
                SystemClock(),
            )
            assert (await client.post(HEAD, target_body, 20, Iteration(0))).status == 200
            await client.close()
            assert server.requests[0].endswith(target_body)

    run(play())


def test_an_idle_tls_connection_that_ends_is_repeated_on_a_new_one(run, hostile, ca_file) -> None:
    async def play() -> None:
        tls = server_side(AUTHORITY.issue_cert("127.0.0.1"))
        async with hostile([[[OK], ["fin"]], [[OK]]], tls=tls) as server:
            assert (await post(server.port, TlsOptions(ca_file), times=2)).status == 200
            assert server.connections == 2

    run(play())


@pytest.mark.parametrize("option", ["CAFile", "CertFile", "KeyFile"])
@pytest.mark.parametrize("content", [None, b"", b"no PEM at all"])
def test_a_file_that_cannot_be_used_is_named(option, content, tmp_path, client_files) -> None:
    bad = tmp_path / "bad.pem"
    if content is not None:
        bad.write_bytes(content)
    cert, key = client_files
    options = {
        "CAFile": TlsOptions(ca_file=str(bad)),
        "CertFile": TlsOptions(cert_file=str(bad), key_file=key),
        "KeyFile": TlsOptions(cert_file=cert, key_file=str(bad)),
    }

    async def make() -> None:
        HttpClient(
            Target("https", "localhost", 1, "/"), ClientOptions(tls=options[option]), SystemClock()
        )

    with pytest.raises(ConfigError, match=r"EventSender\.TLS\.(CAFile|CertFile|KeyFile)") as caught:
        asyncio.run(make())
    assert Path(bad).name in str(caught.value) or option == "KeyFile"


def test_a_key_without_a_certificate_is_refused(tmp_path) -> None:
    async def make() -> None:
        tls = TlsOptions(key_file=str(tmp_path / "key.pem"))
        HttpClient(Target("https", "localhost", 1, "/"), ClientOptions(tls=tls), SystemClock())

    with pytest.raises(ConfigError, match="CertFile"):
        asyncio.run(make())
