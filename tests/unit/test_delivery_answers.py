"""What an answer means, when to try again, and what of it may be logged."""

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espf.delivery.answers import AnswerRules, parse_codes, parse_retry_after
from espf.delivery.masking import Mask
from espf.delivery.model import Response
from espf.handlers.port import Delivered, Rejected, RetryLater

NOW_US = 1_523_546_640_000_000  # Thu, 12 Apr 2018 15:24:00 GMT


class FixedClock:
    def now_us(self) -> int:
        return NOW_US

    def monotonic(self) -> float:
        return 0.0


def rules(success: str = "200", temporary: str = "", secrets: tuple[str, ...] = ()) -> AnswerRules:
    return AnswerRules(parse_codes(success), parse_codes(temporary), secrets, FixedClock())


def answer(status: int, body: bytes = b"", retry_after: str | None = None) -> Response:
    return Response(status, body, truncated=False, retry_after=retry_after)


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("200", {200}),
        ("200,202", {200, 202}),
        (" 200 , 202 ", {200, 202}),
        ("200 202", {200, 202}),
        ("2xx", set(range(200, 300))),
        ("2XX,302", {*range(200, 300), 302}),
        ("408,425,429", {408, 425, 429}),
        ("", set()),
    ],
)
def test_codes_are_read_as_operators_write_them(text, codes) -> None:
    assert parse_codes(text) == codes


@pytest.mark.parametrize(
    "text",
    [
        "20",
        "2000",
        "099",
        "100",
        "1xx",
        "600",
        "6xx",
        "0xx",
        "x",
        "2x",
        "2xxx",
        "-200",
        "200-299",
        "\uff12\uff10\uff10",
    ],
)
def test_what_is_no_code_is_named(text) -> None:
    with pytest.raises(ValueError, match="is no status code") as caught:
        parse_codes(f"200,{text}")
    assert repr(text) in str(caught.value)


@given(st.text(max_size=30))
def test_any_text_gives_codes_in_range_or_a_sentence(text) -> None:
    try:
        codes = parse_codes(text)
    except ValueError as error:
        codes = frozenset()
        sentence = str(error)
    else:
        sentence = "write codes from 200 to 599"
    assert "write codes from 200 to 599" in sentence
    assert all(100 <= code <= 599 for code in codes)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, Delivered),
        (201, RetryLater),
        (202, RetryLater),
        (204, RetryLater),
        (302, RetryLater),
        (400, Rejected),
        (401, Rejected),
        (404, Rejected),
        (408, Rejected),
        (422, Rejected),
        (499, Rejected),
        (500, RetryLater),
        (503, RetryLater),
        (600, RetryLater),
        (999, RetryLater),
    ],
)
def test_the_code_decides_as_the_handbook_says(status, kind) -> None:
    outcome = rules().judge(answer(status, b"seen"), "sent")
    assert type(outcome) is kind
    assert (outcome.request, outcome.code, outcome.answer) == ("sent", status, "seen")


@given(st.integers(100, 999), st.sets(st.integers(100, 599)), st.sets(st.integers(100, 599)))
def test_every_code_has_one_outcome(status, success, temporary) -> None:
    judge = AnswerRules(frozenset(success), frozenset(temporary), (), FixedClock()).judge
    outcome = judge(answer(status), "")
    if status in success:
        assert isinstance(outcome, Delivered)
    elif 400 <= status < 500 and status not in temporary:
        assert isinstance(outcome, Rejected)
    else:
        assert isinstance(outcome, RetryLater)


def test_a_temporary_4xx_is_retried_no_sooner_than_it_asks() -> None:
    outcome = rules(temporary="429").judge(answer(429, retry_after="17"), "")
    assert isinstance(outcome, RetryLater)
    assert outcome.retry_after_s == 17.0
    assert not outcome.refused


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("9" * 400, 1e9),
        ("Thu, 12 Apr 2018 15:25:30 GMT", 90.0),
        ("Thursday, 12-Apr-18 15:25:30 GMT", 90.0),
        ("Thu Apr 12 15:25:30 2018", 90.0),
        ("Thu, 12 Apr 2018 15:00:00 GMT", 0.0),
        ("", None),
        ("-1", None),
        ("soon", None),
        ("1.5", None),
        ("Thu, 99 Foo 2018", None),
        ("\uff11\uff12", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text, seconds) -> None:
    assert parse_retry_after(text, NOW_US) == seconds


@given(st.text(max_size=60))
def test_any_retry_after_gives_a_time_or_none(text) -> None:
    seconds = parse_retry_after(text, NOW_US)
    assert seconds is None or seconds >= 0


PRINTABLE = st.characters(codec="utf-8", categories=("L", "N", "P", "S"), exclude_characters="*")
SECRETS = st.text(PRINTABLE, min_size=4, max_size=20)


@given(SECRETS, st.text(max_size=40), st.text(max_size=40))
def test_a_secret_is_never_in_the_text_however_it_is_echoed(secret, before, after) -> None:
    mask = Mask([secret])
    for form in (secret, json.dumps(secret), quote(secret, safe="")):
        echoed = mask.text(before + form + after)
        assert secret not in echoed
        assert "***" in echoed


@given(st.text("0123456789abcdefABCDEF", min_size=32, max_size=32))
def test_ki_and_opc_are_masked_wherever_they_stand(key) -> None:
    shown = rules().judge(answer(500, f'{{"ki":"{key}","opc":"{key}"}}'.encode()), "").answer
    assert shown == '{"ki":"***","opc":"***"}'


def test_a_longer_secret_is_masked_before_one_that_it_holds() -> None:
    assert Mask(["pass", "password1"]).text("password1 pass") == "*** ***"


def test_a_secret_cut_off_at_the_end_is_masked_as_far_as_it_goes() -> None:
    body = b"x" * 10 + b"topsec"
    response = Response(500, body, truncated=True, retry_after=None)
    assert rules(secrets=("topsecret",)).judge(response, "").answer == "x" * 10 + "***"
    half = Response(500, b"ki=" + b"0123456789abcdef", truncated=True, retry_after=None)
    assert rules().judge(half, "").answer == "ki=***"


def test_control_characters_are_made_visible() -> None:
    body = b"a\x00b\x1b[31mc\r\nd\te\x7f\xff" + "\u202e\x85".encode()
    assert rules().judge(answer(200, body), "").answer == (
        "a\u2400b\u241b[31mc\u240d\nd\te\u2421\ufffd\\u202e\\x85"
    )


@given(st.binary(max_size=200))
def test_any_body_gives_text_that_a_database_and_a_terminal_take(body) -> None:
    shown = rules().judge(answer(200, body), "").answer
    assert all(letter in "\n\t" or ord(letter) >= 0x20 for letter in shown)
    shown.encode("utf-8")


def test_a_remembered_answer_is_not_mistaken_for_another() -> None:
    judge = rules().judge
    texts = [judge(answer(200, body), "").answer for body in (b"a", b"a", b"b", b"", b"a")]
    assert texts == ["a", "a", "b", "", "a"]
