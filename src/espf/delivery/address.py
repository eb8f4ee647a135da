"""Which addresses we talk to, checked on the very address that is then connected to.

A receiver's URL is set by an operator, but what its name resolves to may be set by somebody else;
so the check is done after resolution, at each connect (design, "Safe by default").
"""

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from espf.delivery.errors import AddressRefused

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

NAT64 = IPv6Network("64:ff9b::/96")
"""RFC 6052: an IPv6 address that a gateway turns into the IPv4 address in its last 32 bits."""
REFUSED: tuple[tuple[Network, str], ...] = (
    (IPv4Network("169.254.0.0/16"), "link-local; cloud metadata services are there"),
    (IPv6Network("fe80::/10"), "link-local"),
    (IPv6Network("fd00:ec2::254/128"), "a cloud metadata service"),
    (IPv6Network("fd20:ce::254/128"), "a cloud metadata service"),
    (IPv4Network("100.100.100.200/32"), "a cloud metadata service"),
    (IPv4Network("224.0.0.0/4"), "multicast"),
    (IPv6Network("ff00::/8"), "multicast"),
    (IPv4Network("0.0.0.0/8"), "unspecified"),  # Linux takes 0.0.0.0 for this very machine
    (IPv6Network("::/128"), "unspecified"),
    (IPv4Network("255.255.255.255/32"), "broadcast"),
)


def objection(address: Address, allowed: Sequence[Network]) -> str | None:
    """Why this address is not to be talked to, or None if it may be."""
    forms = _forms(address)
    for form in forms:
        for network, reason in REFUSED:
            if form in network:
                return f"{address} is {reason}, which is always refused"
    if allowed and not any(form in network for form in forms for network in allowed):
        return f"{address} is outside the allowed networks (EventSender.AllowedNetworks)"
    return None


def _forms(address: Address) -> tuple[Address, ...]:
    """The address as written, and the IPv4 address it stands for, where there is one."""
    if isinstance(address, IPv6Address):
        address = IPv6Address(int(address))  # without the scope, which no network contains
        if address.ipv4_mapped is not None:
            return (address.ipv4_mapped,)
        if address in NAT64:
            return (address, IPv4Address(int(address) & 0xFFFFFFFF))
    return (address,)


async def resolve(host: str, port: int, allowed: Sequence[Network]) -> list[Address]:
    """The addresses of a host that we may talk to, in the order the system gives them.

    Raises AddressRefused if it has addresses and none may be talked to; the resolver's own errors
    (OSError, UnicodeError) pass through for the caller to translate.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    addresses = list(dict.fromkeys(ip_address(entry[4][0]) for entry in found))
    objections = [objection(address, allowed) for address in addresses]
    usable = [a for a, refused in zip(addresses, objections, strict=True) if refused is None]
    if not usable:
        reasons = "; ".join(reason for reason in objections if reason)
        raise AddressRefused(f"{host} is not to be connected to: {reasons or 'it has no address'}")
    return usable
