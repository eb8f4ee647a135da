"""Sends Disconnect-Requests to NASes: UDP, repeated until answered, never in vain for long."""

import asyncio
import itertools
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, NamedTuple, cast

from espf.delivery.address import objection
from espf.handlers.free_radius.packet import SESSION_NOT_FOUND, Ack, answer, request

TRIES = 3


class Ending(NamedTuple):
    """How it went."""

    ok: bool
    """The session has ended, as far as the NAS says."""
    text: str


class Disconnector:
    """Ends sessions. What a NAS does about it is told, and fails no event: see `Disconnect`."""

    def __init__(self, port: int, timeout_s: float, local_address: str | None) -> None:
        """`timeout_s` is for each try."""
        self._port = port
        self._timeout_s = timeout_s
        self._local = None if local_address is None else (local_address, 0)
        self._numbers = itertools.cycle(range(256))

    @property
    def longest_s(self) -> float:
        """Nothing takes longer."""
        return TRIES * self._timeout_s

    async def end(self, user: str, nas: str, session: str, secret: str) -> Ending:
        """Ask the NAS to end the user's session."""
        try:
            address = ip_address(nas)
        except ValueError:
            return Ending(False, f"NAS {nas} is no address")
        if refused := objection(address, ()):
            return Ending(False, f"NAS {refused}")
        try:
            asked = request(next(self._numbers), user, address, session, secret.encode())
        except ValueError as error:
            return Ending(False, f"user name or session {error}")
        try:
            return self._judged(nas, await self._exchange(address, asked, secret.encode()))
        except TimeoutError:
            told = f"NAS {nas} did not answer on port {self._port} in {TRIES} tries"
            return Ending(False, told)
        except OSError as error:
            return Ending(False, f"NAS {nas}, port {self._port}: {error.strerror or error}")

    async def _exchange(
        self, address: IPv4Address | IPv6Address, asked: bytes, secret: bytes
    ) -> Ack:
        """Raises OSError, TimeoutError among them."""
        loop = asyncio.get_running_loop()
        transport, waiting = await loop.create_datagram_endpoint(
            lambda: _Waiting(lambda packet: answer(packet, asked, secret)),
            remote_addr=(str(address), self._port),
            local_addr=self._local,
        )
        try:
            for _ in range(TRIES):
                transport.sendto(asked)
                done, _ = await asyncio.wait([waiting.answered], timeout=self._timeout_s)
                if done:
                    return waiting.answered.result()
            raise TimeoutError
        finally:
            transport.close()
            waiting.answered.cancel()

    def _judged(self, nas: str, ack: Ack) -> Ending:
        if ack.done:
            return Ending(True, f"NAS {nas}: Disconnect-ACK")
        if ack.error_cause == SESSION_NOT_FOUND:
            return Ending(True, f"NAS {nas}: there is no such session any more")
        cause = "" if ack.error_cause is None else f", Error-Cause {ack.error_cause}"
        return Ending(False, f"NAS {nas}: Disconnect-NAK{cause}")


class _Waiting(asyncio.DatagramProtocol):
    def __init__(self, judge: Callable[[bytes], Ack | None]) -> None:
        self.answered: asyncio.Future[Ack] = asyncio.get_running_loop().create_future()
        self._judge = judge

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:  # noqa: ARG002
        ack = self._judge(data)
        if ack is not None and not self.answered.done():
            self.answered.set_result(ack)

    def error_received(self, exc: Exception) -> None:
        """Nobody listens there, mostly."""
        if not self.answered.done():
            self.answered.set_exception(cast("OSError", exc))
