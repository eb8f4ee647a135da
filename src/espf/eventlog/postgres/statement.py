"""Statements as libpq takes them: `$1` in place of `:name`, values as text."""

import re
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from espf.eventlog.statements import as_written

_PARAMETER = re.compile(r"(?<![:\w]):([a-z_]+)")


class Statement(NamedTuple):
    """A statement to be prepared once on each connection."""

    name: bytes
    text: bytes
    parameters: tuple[str, ...]
    """Their names, in the order of their numbers."""

    def values(self, bound: Mapping[str, object]) -> list[bytes | None]:
        """The parameters' values in their order."""
        return [as_text(bound[name]) for name in self.parameters]


def as_text(value: object) -> bytes | None:
    """A value in PostgreSQL's text form; a list or tuple of numbers or names as an array."""
    if value is None:
        return None
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bool):
        return b"t" if value else b"f"
    if isinstance(value, list | tuple):
        return ("{" + ",".join(f'"{one}"' for one in value) + "}").encode()
    return str(value).encode()


@cache
def statement(name: str) -> Statement:
    """The statement of that name."""
    return numbered(name, as_written("postgres")[name])


def numbered(name: str, written: str) -> Statement:
    """A statement with `:name` parameters, to be prepared under this name."""
    names: list[str] = []

    def number(match: re.Match[str]) -> str:
        if match[1] not in names:
            names.append(match[1])
        return f"${names.index(match[1]) + 1}"

    text = _PARAMETER.sub(number, written)
    return Statement(name.encode(), text.encode(), tuple(names))


def filled_in(name: str, literals: Mapping[str, str]) -> str:
    """The statement with literals in place of its parameters: for a script of several."""
    return _PARAMETER.sub(lambda match: literals[match[1]], as_written("postgres")[name])
