"""Imports many records from a file.

Rows are applied in their order. A row with the entity's key (`i_account`, `i_customer`, …) updates
that record, one without adds. A bad row is reported with its line and stops nothing else.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO

from django.db import connection
from django.db.models import Model

from espf.errors import RegistryError, StorageError
from espf.registry.entity import Entity
from espf.registry.fields import check_names, entity_of
from espf.registry.rows import BadRow, Row, read_rows
from espf.registry.services import add_row, update_row
from espf.registry.storage import one_change
from espf.registry.tables import table
from espf.registry.values import key as read_key

KEPT_FAILURES = 1000
"""So many failures are kept with their text; all are counted."""
# Each row has a savepoint, and PostgreSQL slows down for everybody above 64 in a transaction.
_CHUNK_ROWS = {"sqlite": 200, "postgresql": 60}
_CHUNK_S = 0.040
# Between transactions, so that other writers, who poll for the lock, get their turn.
_PAUSE_S = 0.002


@dataclass(slots=True)
class ImportReport:
    """What became of the rows so far."""

    added: int = 0
    updated: int = 0
    failed_count: int = 0
    failed: list[tuple[int, str]] = field(default_factory=list)
    """(line, message), the first `KEPT_FAILURES` of them."""

    @property
    def rows(self) -> int:
        """Rows seen."""
        return self.added + self.updated + self.failed_count

    def fail(self, line: int, message: str) -> None:
        """Count a row that was not applied."""
        self.failed_count += 1
        if len(self.failed) < KEPT_FAILURES:
            self.failed.append((line, message))


Progress = Callable[[ImportReport, float], None]
"""Called after each chunk with the report so far and the share of the file read, 0 to 1."""


def import_file(entity: str, path: Path, on_progress: Progress | None = None) -> ImportReport:
    """Apply a file of CSV (header row) or JSON lines; returns what became of its rows.

    Rows are stored in chunks, each a transaction of about 40 ms; each row is stored whole or not at
    all. Raises RegistryError for a file that cannot be read or whose header is wrong: nothing is
    stored then. Raises StorageError if the database fails on the way, and says how far it came.
    """
    kind = entity_of(entity)
    try:
        with path.open("rb") as file:
            return _import(kind, path, file, on_progress)
    except OSError as error:
        raise RegistryError(f"{path} cannot be read: {error.strerror}.") from error


def _import(kind: Entity, path: Path, file: IO[bytes], progress: Progress | None) -> ImportReport:
    report = ImportReport()
    size = path.stat().st_size or 1
    rows = read_rows(path, file, lambda names: check_names(kind, names))
    chunk = _CHUNK_ROWS[connection.vendor]
    waiting = list(islice(rows, chunk))
    while waiting:
        done = _store(kind, waiting, report, path)
        if progress is not None:
            progress(report, min(file.tell() / size, 1.0))
        time.sleep(_PAUSE_S)
        del waiting[:done]
        waiting.extend(islice(rows, chunk - len(waiting)))
    return report


def _store(kind: Entity, rows: list[Row | BadRow], report: ImportReport, path: Path) -> int:
    """Store as many rows as fit in one short transaction; returns how many."""
    try:
        with one_change():
            outcomes = list(_apply_until(kind, rows, time.monotonic() + _CHUNK_S))
    except StorageError as error:
        raise StorageError(
            f"{error} {path}: the rows before line {rows[0].line} are done, none after."
        ) from error
    for row, outcome in zip(rows, outcomes, strict=False):
        if outcome == "added":
            report.added += 1
        elif outcome == "updated":
            report.updated += 1
        else:
            report.fail(row.line, outcome)
    return len(outcomes)


def _apply_until(kind: Entity, rows: list[Row | BadRow], ends_at: float) -> Iterator[str]:
    for row in rows:
        yield row.reason if isinstance(row, BadRow) else _apply(kind, row.fields)
        if time.monotonic() > ends_at:
            return


def _apply(kind: Entity, given: dict[str, object]) -> str:
    """`added`, `updated`, or why not; a savepoint of its own, so that a bad row leaves nothing."""
    fields = {name: value for name, value in given.items() if name != kind.key}
    key = given.get(kind.key)
    try:
        with one_change():
            if key is None or key == "":
                add_row(kind, fields)
                return "added"
            update_row(kind, _present(kind, key), fields)
            return "updated"
    except RegistryError as error:
        return str(error)


def _present(kind: Entity, key: object) -> Model:
    try:
        number = read_key(key)
    except ValueError as error:
        raise RegistryError(f"{kind.key} {error}.", kind.key) from None
    row = table(kind.model).get(for_change=True, **{kind.key: number})
    if row is None:
        raise RegistryError(f"There is no {kind.name} {number}.", kind.key)
    return row
