"""Authentication of requests, against the published examples and computed vectors."""

import base64
import datetime as dt
import hashlib
import hmac
import json
import locale
import re
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espf.delivery.signing import BasicAuth, CustomAuth, NoAuth, SignatureAuth, date_header

DATE = "Thu, 12 Apr 2018 15:24:00 GMT"
VECTORS = [
    # (key, profile, signature): shared vectors; only the first fits the published prefix +Ik
    ("signature_key", "date-value", "+IkiEg9UkyA+gh+pcI64itisKhs="),
    ("signature_key", "date-line", "PqBNwPFenyyITpDILoF2Hi2Vmbs="),
    ("signature", "date-value", "48+LtGkLvCsislw4FDSVCPirks8="),
    ("signature", "date-line", "FHkFy/8bwxnoZGvTkmt8VqSBeSA="),
]


def test_none_adds_nothing() -> None:
    assert NoAuth().lines(DATE, "/", b"{}") == b""


def test_basic_is_the_published_example() -> None:
    lines = BasicAuth("Authorization", "username", "secret").lines(DATE, "/", b"")
    assert lines == b"Authorization: Basic dXNlcm5hbWU6c2VjcmV0\r\n"


def test_basic_is_utf8() -> None:
    lines = BasicAuth("X-Auth", "käte", "пароль").lines(DATE, "/", b"")
    assert base64.b64decode(lines.split()[-1]).decode() == "käte:пароль"


def test_custom_is_the_published_example() -> None:
    lines = CustomAuth("Authorization", "Plain", "passexample").lines(DATE, "/", b"")
    assert lines == b"Authorization: Plain passexample\r\n"


@pytest.mark.parametrize(("key", "profile", "signature"), VECTORS)
def test_signatures_are_those_of_the_vectors(key, profile, signature) -> None:
    lines = SignatureAuth("Authorization", "test", key, profile).lines(DATE, "/", b"{}")
    assert lines == (
        b'Authorization: Signature keyId="test",algorithm="hmac-sha1",signature="%b"\r\n'
        % signature.encode()
    )


def test_a_new_date_gives_a_new_signature_and_the_old_one_the_old() -> None:
    signer = SignatureAuth("Authorization", "test", "signature_key")
    first = signer.lines(DATE, "/", b"a")
    assert signer.lines(DATE, "/", b"b") is first
    assert signer.lines("Thu, 12 Apr 2018 15:24:01 GMT", "/", b"a") != first
    assert signer.lines(DATE, "/", b"a") == first


def test_the_sha256_profile_covers_path_date_and_body() -> None:
    signer = SignatureAuth("Authorization", "k1", "key", "hmac-sha256")
    body = json.dumps({"event_type": "Account/New", "variables": {}}).encode()
    digest, line, end = signer.lines(DATE, "/hook?x=1", body).decode().split("\r\n")
    assert end == ""
    expected = base64.b64encode(hashlib.sha256(body).digest()).decode()
    assert digest == f"Digest: SHA-256={expected}"
    text = f"(request-target): post /hook?x=1\ndate: {DATE}\ndigest: SHA-256={expected}"
    signature = base64.b64encode(hmac.digest(b"key", text.encode(), "sha256")).decode()
    assert line == (
        'Authorization: Signature keyId="k1",algorithm="hmac-sha256",'
        f'headers="(request-target) date digest",signature="{signature}"'
    )
    others = [(DATE, "/hook", body), (DATE, "/hook?x=1", body + b" "), ("x", "/hook?x=1", body)]
    assert signature not in b"".join(signer.lines(*other) for other in others).decode()


@given(st.text(min_size=1), st.sampled_from(["date-value", "date-line"]))
def test_a_value_of_method_signature_holds_exactly_one_space(key, profile) -> None:
    lines = SignatureAuth("Authorization", "test", key, profile).lines(DATE, "/", b"").decode()
    assert re.fullmatch(r"Authorization: Signature [^ \r\n]+\r\n", lines)


@pytest.mark.parametrize(
    "make",
    [
        lambda: BasicAuth("Authorization", "a:b", "k"),
        lambda: CustomAuth("Authorization", "Be arer", "k"),
        lambda: CustomAuth("Authorization", "Bearer", "a b"),
        lambda: CustomAuth("Authorization", "Bearer", "secret\r\nX: y"),
        lambda: CustomAuth("Authorization\r\nX", "Bearer", "secret"),
        lambda: SignatureAuth("Authorization", 'a"b', "secret"),
        lambda: SignatureAuth("Authorization", "a b", "secret"),
    ],
)
def test_what_would_break_the_header_is_refused_without_telling_the_secret(make) -> None:
    with pytest.raises(ValueError, match="must have no") as caught:
        make()
    assert "secret" not in str(caught.value)


@given(st.integers(0, 4_102_444_800_000_000))
def test_the_date_is_the_imf_fixdate_of_the_second(now_us) -> None:
    at = dt.datetime.fromtimestamp(now_us // 1_000_000, dt.UTC)
    assert date_header(now_us) == format_datetime(at, usegmt=True)


def test_the_date_is_english_whatever_the_locale() -> None:
    before = locale.setlocale(locale.LC_TIME)
    try:
        for name in ("de_DE.UTF-8", "fr_FR.UTF-8", "C"):
            try:
                locale.setlocale(locale.LC_TIME, name)
            except locale.Error:
                continue
            assert date_header(1_523_546_640_999_999) == DATE
    finally:
        locale.setlocale(locale.LC_TIME, before)
