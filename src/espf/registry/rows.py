"""Reads the rows of an import file, CSV or JSON lines, one by one, each with the line it begins on.

A row that cannot be read is a `BadRow` and the next one is read; only a file that cannot be an
import file at all raises.
"""

import csv
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, NamedTuple, Self

import orjson

from espf.errors import RegistryError

MAX_LINE = 1_000_000
"""Bytes of one line."""
_MOST_LINES = 50
"""A quoted cell that does not end within so many lines is an open quote on its first."""
_TOO_LONG = f"the line is longer than {MAX_LINE} bytes"
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
    """Lines of a file, counted; None for one that is too long."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._again: deque[bytes | None] = deque()
        self.number = 0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes | None:
        line = self._again.popleft() if self._again else self._read()
        if line == b"":
            raise StopIteration
        self.number += 1
        return line.removeprefix(_BOM) if line and self.number == 1 else line

    def put_back(self, lines: list[bytes | None]) -> None:
        """Let the last lines be read once more."""
        self._again.extendleft(reversed(lines))
        self.number -= len(lines)

    def _read(self) -> bytes | None:
        line = self._file.readline(MAX_LINE + 1)
        if len(line) <= MAX_LINE:
            return line
        while line and not line.endswith(b"\n"):
            line = self._file.readline(MAX_LINE)
        return None


def _json_rows(file: IO[bytes]) -> Iterator[Row | BadRow]:
    lines = _Lines(file)
    for line in lines:
        if line is None:
            yield BadRow(lines.number, _TOO_LONG)
        elif line.strip():
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
    try:
        header = [name.strip() for name in _cells([next(lines)])]
    except csv.Error as error:
        raise RegistryError(f"{path}, line 1: the header is not CSV: {error}.") from error
    _check_separator(path, header)
    _check_unique(path, header)
    check_header(header)
    return _records(lines, header)


def _check_separator(path: Path, header: list[str]) -> None:
    for sign, name in ((";", "semicolons"), ("\t", "tabs")):
        if len(header) == 1 and sign in header[0]:
            raise RegistryError(f"{path}, line 1: {name} separate the cells; use commas.")


def _check_unique(path: Path, header: list[str]) -> None:
    if not any(header):
        raise RegistryError(f"{path}, line 1: the header is missing; name the fields there.")
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise RegistryError(f"{path}, line 1: {', '.join(twice)[:80]} is there twice.")


def _cells(lines: list[bytes | None]) -> list[str]:
    """Cells of one row. Raises csv.Error if the lines are not exactly that."""
    if None in lines:
        raise csv.Error(_TOO_LONG)
    # Bytes that are not UTF-8 become surrogates, which no field accepts: the row fails, no more.
    texts = (line.decode("utf-8", "surrogateescape") for line in lines if line)
    try:
        return next(csv.reader(texts, strict=True), [])
    except csv.Error as error:
        never_ends = "unexpected end" in str(error)
        raise csv.Error("a quote is opened and not closed" if never_ends else error) from error


def _row_from(lines: _Lines, first: bytes | None, width: int) -> list[str]:
    """Cells of the row that begins with this line, and seldom goes on in the next ones.

    An open quote must not swallow the rows behind it: unless a row of the right width comes of it,
    its line alone is bad. Raises csv.Error then.
    """
    try:
        return _cells([first])
    except csv.Error:
        ahead: list[bytes | None] = []
        for line in islice(lines if first and b'"' in first else (), _MOST_LINES):
            ahead.append(line)
            if line is None or b'"' not in line:
                continue
            try:
                cells = _cells([first, *ahead])
            except csv.Error:
                continue
            if len(cells) == width:
                return cells
        lines.put_back(ahead)
        raise


def _records(lines: _Lines, header: list[str]) -> Iterator[Row | BadRow]:
    for first in lines:
        line = lines.number
        try:
            cells = _row_from(lines, first, len(header))
        except csv.Error as error:
            yield BadRow(line, f"not CSV: {error}")
            continue
        if not cells:
            continue
        if len(cells) != len(header):
            yield BadRow(line, f"{len(cells)} cells where the header has {len(header)}")
        else:
            # An empty cell says nothing; JSON's null clears a field.
            yield Row(line, {n: c for n, c in zip(header, cells, strict=True) if c.strip()})
