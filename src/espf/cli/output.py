"""What commands print: records as JSON or as plain aligned text, fit for terminals and pipes."""

import json
import sys
import unicodedata
from collections.abc import Mapping, Sequence

from espf.clock import utc_text

MAX_CELL = 60


def print_json(value: object) -> None:
    """Print a record or an array, and nothing else."""
    say(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def say(text: str = "") -> None:
    """Print one line to standard output at once: a reader at the other end of a pipe waits."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def warn(text: str) -> None:
    """Print one line to standard error."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def note(text: str) -> None:
    """Print a remark for people: to standard error, and only if somebody sits there."""
    if sys.stderr.isatty():
        warn(text)


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows in aligned columns under their heads."""
    cells = [[cell(value) for value in row] for row in rows]
    widths = [
        max([width(head), *(width(row[number]) for row in cells)])
        for number, head in enumerate(heads)
    ]
    for row in [list(heads), *cells]:
        padded = (text + " " * (size - width(text)) for text, size in zip(row, widths, strict=True))
        say("  ".join(padded).rstrip())


def fields(record: Mapping[str, object]) -> None:
    """Print a record, one field a line."""
    size = max((len(name) for name in record), default=0)
    for name, value in record.items():
        say(f"{name:<{size}}  {cell(value, 10_000)}".rstrip())


def cell(value: object, limit: int = MAX_CELL) -> str:
    """A value as one short line of text without control characters."""
    text = plain(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def plain(value: object) -> str:
    """A value as text without control characters, which could reprogram a terminal."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping | list | tuple):
        return plain(json.dumps(value, ensure_ascii=False, default=str))
    text = str(value)
    return text if text.isprintable() else "".join(map(_visible, text))


def when(time_us: int | None) -> str | None:
    """A time in UTC, to the second."""
    return None if time_us is None else utc_text(time_us)


def width(text: str) -> int:
    """Columns that a text takes on a terminal."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def _visible(char: str) -> str:
    return char if char.isprintable() else ascii(char)[1:-1]
