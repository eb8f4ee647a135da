"""How Disconnect-Requests are signed, answers are judged and options are checked."""

import hashlib
import hmac
import struct
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espf.errors import ConfigError
from espf.handlers.free_radius.packet import Ack, answer, request
from espf.handlers.free_radius.settings import FreeRadiusSettings
from espf.handlers.options import read_options
from free_radius_rig import SECRET, attributes

KEY = SECRET.encode()
NAS = ip_address("10.0.0.9")
ASKED = request(7, "ann", NAS, "abc-1", KEY)


def signed(code: int, *parts: bytes, number: int = 7, asked: bytes = ASKED) -> bytes:
    """An answer; an empty Message-Authenticator in it is filled in."""
    body = b"".join(parts)
    head = struct.pack("!BBH", code, number, 20 + len(body))
    empty = b"\x50\x12" + bytes(16)
    if empty in body:
        sign = hmac.new(KEY, head + asked[4:20] + body, hashlib.md5).digest()
        body = body.replace(empty, b"\x50\x12" + sign)
    return head + hashlib.md5(head + asked[4:20] + body + KEY).digest() + body


def test_a_request_holds_user_nas_and_session_and_both_signatures():
    assert attributes(ASKED) == {1: b"ann", 4: NAS.packed, 44: b"abc-1"}
    six = request(8, "ann", ip_address("2001:db8::9"), "abc-1", KEY)
    assert attributes(six) == {1: b"ann", 95: ip_address("2001:db8::9").packed, 44: b"abc-1"}


def test_a_name_that_no_attribute_can_hold_is_refused():
    with pytest.raises(ValueError, match="longer than 253 bytes"):
        request(7, "a" * 254, NAS, "abc-1", KEY)


@pytest.mark.parametrize(
    ("packet", "ack"),
    [
        (signed(41), Ack(True)),
        (signed(41, b"\x50\x12" + bytes(16)), Ack(True)),
        (signed(42, b"\x65\x06\x00\x00\x01\xf7"), Ack(False, 503)),
        (signed(42, b"\x65\x06\x00\x00\x01\xf7", b"\x50\x12" + bytes(16)), Ack(False, 503)),
        (signed(42, b"\x65\x03\x01"), Ack(False, None)),
        (signed(41) + b"padding", Ack(True)),
    ],
)
def test_an_answer_that_is_signed_counts(packet, ack):
    assert answer(packet, ASKED, KEY) == ack


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        signed(41)[:19],
        signed(41, number=8),
        signed(2),
        signed(41, asked=request(7, "bob", NAS, "abc-1", KEY)),
        signed(41, b"\x50\x12" + b"x" * 16),
        signed(42, b"\x65\x09\x00"),
        signed(42, b"\x65\x00"),
        signed(42, b"\x65"),
        signed(41)[:4] + b"x" + signed(41)[5:],
    ],
)
def test_an_answer_of_anybody_else_is_none(packet):
    assert answer(packet, ASKED, KEY) is None


@given(st.binary(max_size=80))
def test_whatever_comes_is_judged_and_never_raises(packet):
    assert answer(packet, ASKED, KEY) is None
    found = answer(signed(41, packet), ASKED, KEY)
    assert found is None or found.done


URL = {"FreeRADIUS.DatabaseURL": "postgresql://espf:very-secret@db/radius"}


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (
            {"FreeRADIUS.DatabaseURL": "mysql://espf:very-secret@db/radius"},
            "must be sqlite:////ABS",
        ),
        ({"FreeRADIUS.DatabaseURL": "sqlite:///radius.db"}, "must begin at the root"),
        (URL | {"FreeRADIUS.SuspendedGroup": "no & go"}, "must be letters, digits, spaces"),
        (URL | {"FreeRADIUS.GroupPriority": 1}, "must be at least 2, not 1"),
        (URL | {"FreeRADIUS.Disconnct": True}, "did you mean"),
    ],
)
def test_a_wrong_option_is_told_of_without_the_password(options, problem):
    with pytest.raises(ConfigError) as raised:
        read_options(FreeRadiusSettings, options, "FreeRADIUS")
    assert problem.lower() in f"{raised.value}".lower()
    assert "very-secret" not in f"{raised.value}"


def test_the_password_in_the_address_is_a_secret():
    settings = read_options(FreeRadiusSettings, URL, "FreeRADIUS")
    assert "very-secret" in settings.secrets
    assert "very-secret" not in repr(settings)
