"""The address policy where it counts: at the connection itself."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from ipaddress import ip_address, ip_network

import pytest

from espf.clock import SystemClock
from espf.delivery.address import Address
from espf.delivery.dial import Dialer
from espf.delivery.errors import AddressRefused, ConnectFailed, ConnectRefused
from espf.delivery.http import ClientOptions, HttpClient, Response, Target
from espf.handlers.port import Iteration

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


async def post(host: str, port: int, options: ClientOptions, timeout_s: float = 10) -> Response:
    client = HttpClient(Target("http", host, port, "/"), options, SystemClock())
    try:
        return await client.post(b"", b"{}", timeout_s, Iteration(0))
    finally:
        await client.close()
        assert client.connections == 0


@contextlib.contextmanager
def deaf(address: str, port: int) -> Iterator[int]:
    """A full backlog: connections hang, as behind a firewall that drops packets."""
    with contextlib.ExitStack() as open_sockets:
        listener = open_sockets.enter_context(socket.socket())
        listener.bind((address, port))
        listener.listen(0)
        for _ in range(8):
            filler = open_sockets.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "::ffff:169.254.169.254", "0.0.0.0", "::", "255.255.255.255"]
)
async def test_a_refused_address_is_never_connected_to(host, hostile) -> None:
    async with hostile([[[OK]]]) as server:
        with pytest.raises(AddressRefused) as caught:
            await post(host, server.port, ClientOptions())
        assert not caught.value.sent
        assert server.connections == 0


async def test_allowed_networks_hold_for_names_too(hostile) -> None:
    async with hostile([[[OK]]]) as server:
        inside = ClientOptions(allowed_networks=(ip_network("127.0.0.0/8"),))
        outside = ClientOptions(allowed_networks=(ip_network("10.0.0.0/8"),))
        assert (await post("localhost", server.port, inside)).status == 200
        with pytest.raises(AddressRefused):
            await post("localhost", server.port, outside)
        assert server.connections == 1


class FixedNames(Dialer):
    """A resolver that knows several addresses for every name, in this order."""

    addresses: tuple[str, ...] = ()

    async def _addresses(self) -> list[Address]:
        return [ip_address(text) for text in self.addresses]


async def post_to_any(addresses: tuple[str, ...], port: int, timeout_s: float) -> Response:
    client = HttpClient(Target("http", "many.example", port, "/"), ClientOptions(), SystemClock())
    client._dialer = FixedNames(client._target, client._options)
    client._dialer.addresses = addresses
    try:
        return await client.post(b"", b"{}", timeout_s, Iteration(0))
    finally:
        await client.close()


async def test_addresses_that_refuse_are_followed_by_the_next(hostile) -> None:
    async with hostile([[[OK]]]) as server:  # listens on 127.0.0.1 alone
        addresses = ("127.0.0.2", "127.0.0.3", "127.0.0.1")
        assert (await post_to_any(addresses, server.port, 10)).status == 200


async def test_when_all_addresses_refuse_the_last_one_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectRefused, match=r"many\.example:\d+ \(127\.0\.0\.3\)"):
        await post_to_any(("127.0.0.2", "127.0.0.3"), port, 10)


async def test_an_address_that_hangs_leaves_time_for_the_next(hostile) -> None:
    async with hostile([[[OK]]]) as server:
        with deaf("127.0.0.2", server.port):
            addresses = ("127.0.0.2", "127.0.0.1")
            assert (await post_to_any(addresses, server.port, 1.0)).status == 200


async def test_requests_leave_from_the_address_asked_for() -> None:
    peers = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.append(writer.get_extra_info("peername")[0])
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await reader.read()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        await post("127.0.0.1", port, ClientOptions(local_address="127.0.0.9"))
    assert peers == ["127.0.0.9"]


async def test_a_source_address_that_is_not_ours_is_named(hostile) -> None:
    async with hostile([[[OK]]]) as server:
        with pytest.raises(ConnectFailed, match=r"192\.0\.2\.1 cannot be used"):
            await post("127.0.0.1", server.port, ClientOptions(local_address="192.0.2.1"))


async def test_a_source_address_of_the_other_family_is_explained(hostile) -> None:
    async with hostile([[[OK]]]) as server:
        with pytest.raises(ConnectFailed, match="no IPv6 address"):
            await post("127.0.0.1", server.port, ClientOptions(local_address="::1"))


async def test_a_name_that_does_not_resolve_is_a_failed_connection() -> None:
    with pytest.raises(ConnectFailed) as caught:
        await post("a" * 64 + ".invalid", 80, ClientOptions())
    assert not caught.value.sent


async def test_ipv6_works_with_its_host_header_in_brackets() -> None:
    requests = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(OK)
        await reader.read()
        writer.close()
        await writer.wait_closed()

    try:
        server = await asyncio.start_server(accept, "::1", 0)
    except OSError:
        return  # a machine without IPv6
    port = server.sockets[0].getsockname()[1]
    async with server:
        assert (await post("::1", port, ClientOptions())).status == 200
    assert b"Host: [::1]:%d\r\n" % port in requests[0]


async def test_a_server_that_accepts_nobody_is_given_up_on_in_time() -> None:
    with deaf("127.0.0.1", 0) as port:
        with pytest.raises(ConnectFailed, match=r"within the time given|timed out") as caught:
            await post("127.0.0.1", port, ClientOptions(), timeout_s=0.2)
        assert not caught.value.sent
