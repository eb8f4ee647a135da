"""Looks out for a transaction that stays open: one in any database of the cluster stops everybody.

Events that were written after it began to write cannot be read until it is over (see the horizon).
"""

import asyncio
from collections.abc import Callable

import structlog

from espf.errors import StorageError
from espf.eventlog.vitals import OpenTransaction
from espf.metrics.beside import beside

LOOK_S = 10.0

_log = structlog.get_logger("espf.engine")


class TransactionWatch:
    """Tells the log once of each that is open for long, and when it is over."""

    def __init__(
        self,
        oldest: Callable[[], OpenTransaction | None],
        is_mine: Callable[[], bool],
    ) -> None:
        """`oldest` blocks and may raise StorageError; of all instances one `is_mine`."""
        self._oldest = oldest
        self._is_mine = is_mine
        self._told: OpenTransaction | None = None

    async def run(self) -> None:
        """Look now and then, for ever."""
        while True:
            await asyncio.sleep(LOOK_S)
            if not self._is_mine():
                continue
            try:
                self._follow(await beside(self._oldest))
            except StorageError:
                continue  # whoever needs the database says so

    def _follow(self, found: OpenTransaction | None) -> None:
        told = self._told
        if told is not None and (found is None or found.key != told.key):
            _log.info("transaction.ended", pid=told.pid, application=told.application)
            self._told = None
        if found is None or self._told is not None or not found.is_held:
            return
        self._told = found
        _log.warning(
            "transaction.held_open",
            pid=found.pid,
            application=found.application,
            age_s=round(found.age_s or 0.0, 1),
        )
