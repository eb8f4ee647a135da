"""Reads the rows of an import file, CSV or JSON lines, one by one, each with the line it begins on.

A row that cannot be read is a `BadRow` and the next one is read; only a file that cannot be an
import file at all raises.
"""

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, NamedTuple, Self

import orjson

from espf.errors import RegistryError

MAX_LINE = 1_000_000
"""Bytes of one line of JSON."""
_NOT_UTF8 = (b"\xff\xfe", b"\xfe\xff")
_BOM = b"\xef\xbb\xbf"


class Row(NamedTuple):
    """One row to apply."""

    line: int
    """Where it begins, from 1, the header included."""
    fields: dict[str, object]


class BadRow(NamedTuple):
    """A row that is no row."""

    line: int
    reason: str


def read_rows(
    path: Path, file: IO[bytes], check_header: Callable[[list[str]], None]
) -> Iterator[Row | BadRow]:
    """Rows of a file: JSON lines if its first sign is `{`, CSV with a header otherwise.

    `check_header` refuses a CSV header by raising. Raises RegistryError for a file that is neither.
    """
    start = file.read(4096)
    file.seek(0)
    if start.startswith(_NOT_UTF8) or b"\0" in start[:2]:
        raise RegistryError(f"{path} is not UTF-8; save it as UTF-8.")
    first = start.removeprefix(_BOM).lstrip()[:1]
    if not first:
        raise RegistryError(f"{path} is empty; give CSV with a header, or one JSON object a line.")
    if first == b"[":
        raise RegistryError(f"{path} is a JSON array; give one JSON object a line.")
    return _json_rows(file) if first == b"{" else _csv_rows(path, file, check_header)


class _Lines:
    """Lines of a file, counted; one that is too long is skipped, and said to be."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.number = 0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        line = self._file.readline(MAX_LINE + 1)
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) > MAX_LINE:
            self._skip(line)
            raise _TooLong(f"the line is longer than {MAX_LINE} bytes")
        return line.removeprefix(_BOM) if self.number == 1 else line

    def _skip(self, line: bytes) -> None:
        while line and not line.endswith(b"\n"):
            line = self._file.readline(MAX_LINE)


class _TooLong(Exception):  # noqa: N818 - never leaves this module
    """A line beyond `MAX_LINE`."""


def _json_rows(file: IO[bytes]) -> Iterator[Row | BadRow]:
    lines = _Lines(file)
    while True:
        try:
            line = next(lines)
        except StopIteration:
            return
        except _TooLong as error:
            yield BadRow(lines.number, str(error))
            continue
        if line.strip():
            yield _json_row(lines.number, line)


def _json_row(number: int, line: bytes) -> Row | BadRow:
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return BadRow(number, f"not JSON: {error}")
    if not isinstance(found, dict):
        return BadRow(number, "not a JSON object")
    return Row(number, found)


def _csv_rows(
    path: Path, file: IO[bytes], check_header: Callable[[list[str]], None]
) -> Iterator[Row | BadRow]:
    lines = _Lines(file)
    reader = csv.reader(map(_decoded, lines), strict=True)
    try:
        header = [name.strip() for name in next(reader)]
    except (csv.Error, _TooLong) as error:
        raise RegistryError(f"{path}, line 1: the header is not CSV: {error}.") from error
    _check_unique(path, header)
    check_header(header)
    return _records(reader, lines, header)


def _check_unique(path: Path, header: list[str]) -> None:
    if not any(header):
        raise RegistryError(f"{path}, line 1: the header is missing; name the fields there.")
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise RegistryError(f"{path}, line 1: {', '.join(twice)[:80]} is there twice.")


def _decoded(line: bytes) -> str:
    # Bytes that are not UTF-8 become surrogates, which no field accepts: the row fails, no more.
    return line.decode("utf-8", "surrogateescape")


def _records(
    reader: Iterator[list[str]], lines: _Lines, header: list[str]
) -> Iterator[Row | BadRow]:
    while True:
        line = lines.number + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except (csv.Error, _TooLong) as error:
            yield BadRow(line, f"not CSV: {error}")
            continue
        if not cells:
            continue
        if len(cells) != len(header):
            yield BadRow(line, f"{len(cells)} cells where the header has {len(header)}")
        else:
            # An empty cell says nothing; JSON's null clears a field.
            yield Row(line, {n: c for n, c in zip(header, cells, strict=True) if c.strip()})
