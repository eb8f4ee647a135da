"""Reads one value of a registry field: from a command line, a CSV cell, JSON or a form.

A reader takes the value as given and returns what is stored. It raises ValueError with the rest of
a sentence that begins with the field's name: "must have 6 to 15 digits".
"""

import math
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal

Value = str | int | Decimal | date | None
Reader = Callable[[object], Value]

MONEY_PLACES = 5
MONEY_LIMIT = Decimal(10) ** 10
"""No balance, limit or amount reaches this."""

_NO_NUMBER = -(2**63)
_INTEGER = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_MONEY = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}( \d{2}:\d{2}(:\d{2})?)?", re.ASCII)
_HEX = re.compile(r"[0-9A-Fa-f]+")
_MAC_SIGNS = re.compile(r"[:.-]")


def plain(value: object) -> str:
    """Text without surrounding white space; whole numbers count as text, other types do not."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise ValueError(f"must be text, not {_kind(value)}")  # noqa: TRY004 - one way to refuse
    return value.strip()


def text(limit: int) -> Reader:
    """Text of at most `limit` characters, without control characters; emoji are fine."""

    def read(value: object) -> str:
        found = plain(value)
        if len(found) > limit:
            raise ValueError(f"is {len(found)} characters long; at most {limit} are kept")
        if not found.isprintable():
            _refuse_controls(found)
        return found

    return read


def integer(value: object) -> int:
    """A whole number."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    found = plain(value)
    if not _INTEGER.fullmatch(found):
        raise ValueError("must be a whole number")
    return int(found)


def key(value: object) -> int:
    """A numeric key (`i_…`)."""
    found = integer(value)
    if found < 1:
        raise ValueError("must be a key, a whole number from 1")
    return found


def between(least: int, most: int) -> Reader:
    """A whole number in this range."""

    def read(value: object) -> int:
        found = integer(value)
        if not least <= found <= most:
            raise ValueError(f"must be from {least} to {most}")
        return found

    return read


def money(value: object) -> Decimal:
    """An amount with at most 5 decimals and 10 digits before them."""
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("must be an amount such as 12.50")
        value = format(Decimal(repr(value)), "f")
    found = str(value) if isinstance(value, Decimal) else plain(value)
    if len(found) > 40 or not _MONEY.fullmatch(found):
        raise ValueError("must be an amount such as 12.50")
    amount = Decimal(found)
    if abs(amount) >= MONEY_LIMIT:
        raise ValueError(f"must be below {MONEY_LIMIT}")
    if amount != round(amount, MONEY_PLACES):
        raise ValueError(f"has more than {MONEY_PLACES} decimals")
    return amount


def day(value: object) -> date:
    """A date, `YYYY-MM-DD`."""
    if isinstance(value, date):
        return value
    found = plain(value)
    try:
        if _DATE.fullmatch(found):
            return date.fromisoformat(found)
    except ValueError:
        pass
    raise ValueError("must be a date, YYYY-MM-DD")


def moment(value: object) -> str:
    """A moment in UTC, `YYYY-MM-DD`, with ` HH:MM:SS` or without; stored with it."""
    found = plain(value).replace("T", " ")
    try:
        if _MOMENT.fullmatch(found):
            return datetime.fromisoformat(found).strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        pass
    raise ValueError("must be a moment in UTC, YYYY-MM-DD HH:MM:SS")


def flags(limit: int) -> Reader:
    """Letters Y, N and ^, one for each service feature; those at the end that say nothing go."""

    def read(value: object) -> str:
        found = plain(value).upper().rstrip("^")
        if set(found) - set("YN^") or len(found) > limit:
            raise ValueError(
                f"must be at most {limit} letters, one for each service feature in the order of "
                "their keys: Y on, N off, ^ as the next owner has it"
            )
        return found

    return read


def choice(values: Sequence[str]) -> Reader:
    """One of these words; case does not matter, a space or hyphen counts as `_`."""

    def read(value: object) -> str:
        found = plain(value).lower().replace(" ", "_").replace("-", "_")
        if found not in values:
            raise ValueError(f"must be one of {', '.join(values)}")
        return found

    return read


def letter(names: Mapping[str, str]) -> Reader:
    """One of the keys, or the word it stands for: `C` or `closed`."""
    words = {word: code for code, word in names.items()}

    def read(value: object) -> str:
        found = plain(value)
        code = words.get(found.lower(), found.upper())
        if code not in names:
            listed = ", ".join(f"{code} ({word})" for code, word in names.items())
            raise ValueError(f"must be one of {listed}")
        return code

    return read


def numbered(names: Mapping[int, str]) -> Reader:
    """One of the numbers, or the word it stands for: `-1` or `debit`."""
    words = {word: code for code, word in names.items()}

    def read(value: object) -> int:
        found = words.get(str(value).strip().lower(), value)
        try:
            code = integer(found)
        except ValueError:
            code = _NO_NUMBER
        if code not in names:
            listed = ", ".join(f"{code} ({word})" for code, word in names.items())
            raise ValueError(f"must be one of {listed}")
        return code

    return read


def digits(least: int, most: int) -> Reader:
    """So many digits."""

    def read(value: object) -> str:
        found = plain(value)
        if not (found.isascii() and found.isdigit() and least <= len(found) <= most):
            wanted = f"{least} to {most}" if least < most else f"{least}"
            raise ValueError(f"must have {wanted} digits")
        return found

    return read


def hexadecimal(length: int) -> Reader:
    """So many hexadecimal digits, stored in upper case."""

    def read(value: object) -> str:
        found = plain(value)
        if len(found) != length or not _HEX.fullmatch(found):
            raise ValueError(f"must have {length} hexadecimal digits")
        return found.upper()

    return read


def mac(value: object) -> str:
    """A MAC address, stored as 12 hexadecimal digits in upper case."""
    found = _MAC_SIGNS.sub("", plain(value))
    if len(found) != 12 or not _HEX.fullmatch(found):
        raise ValueError("must be a MAC address, 12 hexadecimal digits")
    return found.upper()


def _refuse_controls(found: str) -> None:
    for letter_ in found:
        category = unicodedata.category(letter_)
        if category == "Cc":
            raise ValueError(f"holds a control character (U+{ord(letter_):04X})")
        if category == "Cs":
            raise ValueError("is not valid UTF-8")


def _kind(value: object) -> str:
    names = {bool: "true or false", float: "a fraction", list: "a list", dict: "an object"}
    return names.get(type(value), "nothing" if value is None else type(value).__name__)
