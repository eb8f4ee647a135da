"""From a target to a connection: resolve, check, connect, handshake."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from ipaddress import ip_address

from espf.delivery.address import Address, resolve
from espf.delivery.connection import Connection
from espf.delivery.errors import FOREIGN, ConnectFailed, DeliveryError, TlsFailed, translated
from espf.delivery.model import ClientOptions, Target
from espf.delivery.tls import TlsOptions, TlsWire, context

IP_BIND_ADDRESS_NO_PORT = 24
"""From linux/in.h; the socket module names it from Python 3.12 on."""
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


class Dialer:
    """Opens connections to one target."""

    def __init__(self, target: Target, options: ClientOptions) -> None:
        self._target = target
        self._allowed = options.allowed_networks
        self._local = options.local_address
        self._tls = context(options.tls or TlsOptions()) if target.scheme == "https" else None

    async def open(self, connection: Connection, left_s: Callable[[], float]) -> None:
        """Connect `connection`, trying the addresses in order; `left_s` tells the time left.

        The caller bounds the whole; an address that does not answer gets its share of the time,
        so that those behind it have theirs. Raises DeliveryError, always with `sent` False.
        """
        failure: DeliveryError | None = None
        addresses = await self._addresses()
        for behind, address in zip(reversed(range(len(addresses))), addresses, strict=True):
            try:
                sock = await self._connect(address, left_s() / (behind + 1))
            except FOREIGN as error:
                failure = translated(error, self._place(address), sent=False)
                continue
            await self._attach(connection, sock, address)
            return
        assert failure is not None
        raise failure

    def _place(self, address: Address) -> str:
        place = self._target.place
        return place if str(address) == self._target.host else f"{place} ({address})"

    async def _addresses(self) -> list[Address]:
        try:
            found = await resolve(self._target.host, self._target.port, self._allowed)
        except FOREIGN as error:
            raise translated(error, self._target.place, sent=False) from error
        if self._local is None:
            return found
        version = ip_address(self._local).version
        fitting = [address for address in found if address.version == version]
        if not fitting:
            raise ConnectFailed(
                f"{self._target.place} has no IPv{version} address, "
                f"which the source address {self._local} needs"
            )
        return fitting

    async def _connect(self, address: Address, timeout_s: float) -> socket.socket:
        """Connect to the very address that was checked."""
        sock = socket.socket(FAMILIES[address.version], socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            if self._local is not None:
                self._bind(sock, self._local)
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(timeout_s):
                await loop.sock_connect(sock, (str(address), self._target.port))
        except BaseException:
            sock.close()
            raise
        return sock

    def _bind(self, sock: socket.socket, local: str) -> None:
        # The port is chosen at connect, when the target is known: ports do not run out so soon.
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        try:
            sock.bind((local, 0))
        except OSError as error:
            raise ConnectFailed(
                f"the source address {local} cannot be used for {self._target.place}: "
                f"{error.strerror}; it must be an address of this machine"
            ) from error

    async def _attach(self, connection: Connection, sock: socket.socket, address: Address) -> None:
        place = self._place(address)
        try:
            if self._tls is None:
                loop = asyncio.get_running_loop()
                await loop.create_connection(lambda: connection, sock=sock)
            else:
                await self._shake_hands(self._tls, connection, sock)
        except ConnectionError as error:
            ended = error.strerror or "no reason given"
            raise TlsFailed(
                f"{place} ended the connection before TLS was set up: {ended}"
            ) from error
        except FOREIGN as error:
            raise translated(error, place, sent=False) from error

    async def _shake_hands(
        self, tls: ssl.SSLContext, connection: Connection, sock: socket.socket
    ) -> None:
        loop = asyncio.get_running_loop()
        wire = TlsWire(connection, tls, self._target.host)
        ready = wire.ready
        assert ready is not None
        transport, _ = await loop.create_connection(lambda: wire, sock=sock)
        try:
            await ready
        except BaseException:
            transport.abort()
            raise
