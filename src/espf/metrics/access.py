"""Who may read the metrics: they hold no secrets, but names of handlers and how much is sold."""

import hmac
from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address

from pydantic import SecretStr

_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


def may_read(client: str, headers: Mapping[str, str], token: SecretStr | None) -> bool:
    """Whether a client may: from this machine itself, or with the token.

    `headers` have names in lower case. A proxy on this machine comes from it, too: what it passes
    on for others says so.
    """
    if is_local(client) and not any(name in headers for name in _FORWARDED):
        return True
    return token is not None and _has_token(headers.get("authorization", ""), token)


def is_local(client: str) -> bool:
    """Whether the address is this machine's loopback."""
    try:
        address = ip_address(client)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def _has_token(authorization: str, token: SecretStr) -> bool:
    scheme, _, given = authorization.partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(
        given.strip().encode(), token.get_secret_value().encode()
    )
