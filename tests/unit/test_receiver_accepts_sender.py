"""What our sender signs our receiver accepts, and nothing that was altered on the way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espf.delivery.signing import Authenticator, BasicAuth, CustomAuth, SignatureAuth, date_header
from espf.receiver.auth import verify
from espf.receiver.methods import Profile
from espf.receiver.options import ReceiverOptions
from espf.receiver.request import Request

NOW_US = 1_523_546_640_000_000
WAYS: dict[str, tuple[Authenticator, ReceiverOptions]] = {
    "Basic": (
        BasicAuth("Authorization", "espf", "key"),
        ReceiverOptions(auth="Basic", user="espf", key="key"),
    ),
    "Custom": (
        CustomAuth("X-Auth", "Bearer", "key"),
        ReceiverOptions(auth="Custom", auth_header="X-Auth", auth_type="Bearer", key="key"),
    ),
}
for profile in Profile:
    WAYS[profile.value] = (
        SignatureAuth("Authorization", "id", "key", profile.value),
        ReceiverOptions(auth="Signature", user="id", key="key", profile=profile),
    )


def sent(by: Authenticator, now_us: int, target: str, body: bytes) -> Request:
    date = date_header(now_us)
    lines = by.lines(date, target, body).decode("latin-1").split("\r\n")[:-1]
    headers = [tuple(line.split(": ", 1)) for line in [f"Date: {date}", *lines]]
    return Request("POST", target, tuple((name.lower(), value) for name, value in headers), body)


@pytest.mark.parametrize("way", WAYS)
@given(
    now_us=st.integers(0, 4_000_000_000_000_000),
    target=st.from_regex(r"/[a-z0-9/%.]{0,20}(\?[a-z=&]{1,10})?", fullmatch=True),
    body=st.binary(max_size=200),
)
def test_whatever_is_sent_is_accepted(way: str, now_us: int, target: str, body: bytes) -> None:
    sender, options = WAYS[way]
    assert verify(sent(sender, now_us, target, body), options) is None


@pytest.mark.parametrize("way", WAYS)
def test_another_key_is_refused(way: str) -> None:
    sender, options = WAYS[way]
    other = ReceiverOptions.model_validate(options.model_dump() | {"key": "other"})
    refusal = verify(sent(sender, NOW_US, "/", b"{}"), other)
    assert refusal is not None
    assert refusal.status == 401


def test_only_hmac_sha256_notices_another_body_or_path() -> None:
    for way, (sender, options) in WAYS.items():
        request = sent(sender, NOW_US, "/a", b"{}")
        for altered in (request._replace(body=b"[]"), request._replace(target="/b")):
            assert (verify(altered, options) is not None) == (way == "hmac-sha256")
