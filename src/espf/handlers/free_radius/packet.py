"""Disconnect-Requests of RFC 5176, and what is answered."""

import hashlib
import hmac
import struct
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

DISCONNECT_REQUEST, DISCONNECT_ACK, DISCONNECT_NAK = 40, 41, 42
USER_NAME, NAS_IP_ADDRESS, ACCT_SESSION_ID, NAS_IPV6_ADDRESS = 1, 4, 44, 95
MESSAGE_AUTHENTICATOR, ERROR_CAUSE = 80, 101
SESSION_NOT_FOUND = 503
_HEAD = struct.Struct("!BBH16s")
_NOTHING = bytes(16)
_LONGEST_ATTRIBUTE = 253


class Ack(NamedTuple):
    """What a NAS answers."""

    done: bool
    error_cause: int | None = None


def request(
    number: int, user: str, nas: IPv4Address | IPv6Address, session: str, secret: bytes
) -> bytes:
    """A signed Disconnect-Request. Raises ValueError if a name is longer than an attribute.

    No Event-Timestamp: a NAS whose clock is wrong would drop the request without a word, and a
    replayed one ends nothing but a session that has ended.
    """
    of_nas = NAS_IP_ADDRESS if nas.version == 4 else NAS_IPV6_ADDRESS
    attributes = b"".join(
        (
            _attribute(USER_NAME, user.encode()),
            _attribute(of_nas, nas.packed),
            _attribute(ACCT_SESSION_ID, session.encode()),
        )
    )
    length = _HEAD.size + len(attributes) + 18
    head = _HEAD.pack(DISCONNECT_REQUEST, number, length, _NOTHING)
    unsigned = head + attributes + _attribute(MESSAGE_AUTHENTICATOR, _NOTHING)
    sign = hmac.new(secret, unsigned, hashlib.md5).digest()
    signed = head + attributes + _attribute(MESSAGE_AUTHENTICATOR, sign)
    authenticator = _md5(signed + secret)
    return signed[:4] + authenticator + signed[20:]


def answer(packet: bytes, asked: bytes, secret: bytes) -> Ack | None:
    """What the NAS answered to `asked`; None if the packet is none of its answers."""
    if len(packet) < _HEAD.size:
        return None
    code, number, length, authenticator = _HEAD.unpack_from(packet)
    packet = packet[:length]
    if number != asked[1] or len(packet) != length or code not in (DISCONNECT_ACK, DISCONNECT_NAK):
        return None
    told = packet[:4] + asked[4:20] + packet[20:]
    if not hmac.compare_digest(_md5(told + secret), authenticator):
        return None
    places = _places(packet)
    if places is None or not _signed(told, places.get(MESSAGE_AUTHENTICATOR), secret):
        return None
    cause = packet[places[ERROR_CAUSE]] if ERROR_CAUSE in places else b""
    return Ack(code == DISCONNECT_ACK, int.from_bytes(cause) if len(cause) == 4 else None)


def _signed(told: bytes, place: slice | None, secret: bytes) -> bool:
    """An answer need not have a Message-Authenticator; one that it has must be right."""
    if place is None:
        return True
    unsigned = told[: place.start] + _NOTHING + told[place.stop :]
    return hmac.compare_digest(hmac.new(secret, unsigned, hashlib.md5).digest(), told[place])


def _attribute(kind: int, value: bytes) -> bytes:
    if len(value) > _LONGEST_ATTRIBUTE:
        raise ValueError(f"longer than {_LONGEST_ATTRIBUTE} bytes")
    return bytes((kind, len(value) + 2)) + value


def _places(packet: bytes) -> dict[int, slice] | None:
    """Where the values of the attributes are; None if they do not fit the packet."""
    found: dict[int, slice] = {}
    at = _HEAD.size
    while at < len(packet):
        if at + 2 > len(packet) or not 2 <= packet[at + 1] <= len(packet) - at:
            return None
        found[packet[at]] = slice(at + 2, at + packet[at + 1])
        at += packet[at + 1]
    return found


def _md5(content: bytes) -> bytes:
    """RADIUS is made of it; the secret is what protects."""
    return hashlib.md5(content, usedforsecurity=False).digest()
