"""What a field takes, and what it refuses."""

from contextlib import suppress
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espf.registry import values


@pytest.mark.parametrize(
    ("given_", "stored"),
    [
        ("12.5", Decimal("12.5")),
        (0.1, Decimal("0.1")),
        (7, Decimal(7)),
        ("-3", Decimal(-3)),
        (1e-05, Decimal("0.00001")),
        (Decimal("1.00000"), Decimal(1)),
        ("9999999999.99999", Decimal("9999999999.99999")),
    ],
)
def test_an_amount_is_read_exactly(given_, stored):
    assert values.money(given_) == stored


@pytest.mark.parametrize(
    "given_",
    [
        "NaN", "-Infinity", float("nan"), float("inf"), "1e3", "1_000", "", "0.000001", 1e-06,
        "10000000000", 1e300, "9" * 1_000_000, True, None, [], {}, "1,5", "\u0661",
    ],
)  # fmt: skip
def test_what_is_no_amount_is_refused(given_):
    with pytest.raises(ValueError, match=r"amount|decimals|below|text"):
        values.money(given_)


@given(st.decimals(-(10**9), 10**9, places=5))
def test_an_amount_survives_the_way_through_a_json_number(amount):
    assert values.money(float(amount)) == amount


@pytest.mark.parametrize("given_", ["12345", "1" * 16, "12345a", "", "\uff11" * 6, True, 1.5, None])
def test_an_imsi_has_6_to_15_digits(given_):
    with pytest.raises(ValueError, match=r"digits|text"):
        values.digits(6, 15)(given_)
    assert values.digits(6, 15)("001010000000001") == "001010000000001"
    assert values.digits(6, 15)(123456) == "123456"


def test_text_takes_emoji_and_refuses_controls_and_what_is_too_long():
    read = values.text(255)
    assert read(" Zoë 😀 👩‍👩‍👧 ") == "Zoë 😀 👩‍👩‍👧"
    for wrong in ("a\0b", "a\nb", "a\x7fb", "a\udcffb"):
        with pytest.raises(ValueError, match=r"control|UTF-8"):
            read(wrong)
    with pytest.raises(ValueError, match="1000000 characters long; at most 255"):
        read("x" * 1_000_000)


@pytest.mark.parametrize("given_", ["2026-02-30", "20260101", "01.02.2026", 7, "2026-1-1"])
def test_what_is_no_date_is_refused(given_):
    with pytest.raises(ValueError, match="YYYY-MM-DD"):
        values.day(given_)


def test_a_date_a_letter_a_word_and_a_number_are_read():
    assert values.day("2026-02-28") == date(2026, 2, 28)
    assert values.letter({"O": "open", "C": "closed"})("closed") == "C"
    assert values.letter({"O": "open", "C": "closed"})("o") == "O"
    assert values.choice(("phone_line",))("Phone line") == "phone_line"
    assert values.numbered({-1: "debit"})("Debit") == -1
    assert values.numbered({-1: "debit"})("-1") == -1
    assert values.hexadecimal(4)("8aBc") == "8ABC"
    for read in (values.letter({"O": "open"}), values.choice(("a",)), values.numbered({1: "b"})):
        with pytest.raises(ValueError, match="must be one of"):
            read("x")


@given(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary()))
def test_any_value_is_read_or_refused_with_a_value_error(given_):
    for read in (
        values.money, values.integer, values.key, values.day, values.text(9), values.digits(1, 9),
        values.hexadecimal(4), values.choice(("a",)), values.letter({"O": "open"}),
    ):  # fmt: skip
        with suppress(ValueError):
            read(given_)
