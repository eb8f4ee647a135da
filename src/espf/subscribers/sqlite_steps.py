"""StepStore on an SQLite file: a writing connection of its own."""

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from espf.eventlog.sqlite.connection import connect, translated
from espf.eventlog.sqlite.writing import Writer
from espf.subscribers import asking
from espf.subscribers.asking import Question
from espf.subscribers.steps import ResyncMark


class SqliteSteps:
    """Raises StorageError when opened on a file that is missing or of another version."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reader = connect(path)
        self._writer = Writer(path)

    async def parts(self, i_handler: int, identity: str) -> dict[str, str]:
        """Parts with their digests."""
        return dict(self._read(asking.parts_of(i_handler, identity)))

    async def note(self, i_handler: int, identity: str, parts: Mapping[str, str]) -> None:
        """Store these parts, all or none."""
        await self._write(asking.noting(i_handler, identity, parts))

    async def forget(self, i_handler: int, identity: str) -> None:
        """Delete all parts."""
        await self._write([asking.forgetting(i_handler, identity)])

    async def mark(self, i_handler: int, scope: str) -> ResyncMark | None:
        """Where a resync was stopped."""
        found = self._read(asking.mark_of(i_handler, scope))
        return ResyncMark._make(found[0]) if found else None

    async def set_mark(self, i_handler: int, scope: str, mark: ResyncMark | None) -> None:
        """Store how far it is, or that it is through."""
        await self._write([asking.marking(i_handler, scope, mark)])

    async def close(self) -> None:
        """Give up the connections."""
        await self._writer.close()
        self._reader.close()

    def _read(self, asked: Question) -> list[Any]:
        with translated(self._path):
            return self._reader.execute(asking.as_written()[asked.name], asked.bound).fetchall()

    async def _write(self, wanted: Sequence[Question]) -> None:
        def work(connection: sqlite3.Connection) -> None:
            for one in wanted:
                connection.execute(asking.as_written()[one.name], one.bound)

        await self._writer.run(work)
