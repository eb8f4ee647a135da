"""StepStore on an SQLite file: a writing connection of its own."""

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from espf.eventlog.sqlite.writing import Writer
from espf.subscribers.questions import Question, mark_question, note_questions, steps_sql
from espf.subscribers.steps import ResyncMark


class SqliteSteps:
    """Raises StorageError when opened on a file that is missing or of another version."""

    def __init__(self, path: Path) -> None:
        self._writer = Writer(path)

    async def parts(self, i_handler: int, identity: str) -> dict[str, str]:
        """Parts with their digests."""
        bound = {"i_handler": i_handler, "identity": identity}
        return dict(await self._run([Question("parts", bound)]))

    async def note(self, i_handler: int, identity: str, parts: Mapping[str, str]) -> None:
        """Store these parts, all or none."""
        await self._run(note_questions(i_handler, identity, parts))

    async def forget(self, i_handler: int, identity: str) -> None:
        """Delete all parts."""
        bound = {"i_handler": i_handler, "identity": identity}
        await self._run([Question("forget_parts", bound)])

    async def mark(self, i_handler: int, scope: str) -> ResyncMark | None:
        """Where a resync was stopped."""
        found = await self._run([Question("mark", {"i_handler": i_handler, "scope": scope})])
        return ResyncMark._make(found[0]) if found else None

    async def set_mark(self, i_handler: int, scope: str, mark: ResyncMark | None) -> None:
        """Store how far it is, or that it is through."""
        await self._run([mark_question(i_handler, scope, mark)])

    async def close(self) -> None:
        """Give up the connection."""
        await self._writer.close()
