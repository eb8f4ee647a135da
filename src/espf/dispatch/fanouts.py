"""Fanouts (see the port) on either engine: a connection of its own, in a thread of its own.

A portion takes some 20 ms of the database's time; on the event loop it would delay every answer.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from espf.clock import Clock
from espf.dispatch import portions
from espf.dispatch.derivation import Derivation
from espf.dispatch.port import Progress
from espf.errors import StorageError
from espf.eventlog.operating.session import Session


class SessionFanouts:
    """One connection for all dispatchers of an instance; they take turns, portion by portion."""

    def __init__(self, opened: Callable[[], Session], clock: Clock) -> None:
        """`opened` opens a session; it is opened when first used, and anew after a failure."""
        self._opened = opened
        self._clock = clock
        self._session: Session | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="espf-dispatch")

    async def advance(self, derivation: Derivation) -> Progress:
        """Derive the next portion."""
        while True:
            with suppress(portions.Overtaken):
                return await asyncio.get_running_loop().run_in_executor(
                    self._thread, self._advance, derivation
                )

    def _advance(self, derivation: Derivation) -> Progress:
        try:
            if self._session is None:
                self._session = self._opened()
            return portions.advance(self._session, derivation, self._clock.now_us())
        except StorageError:
            self._drop()
            raise

    def _drop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            with suppress(StorageError):
                session.close()

    async def close(self) -> None:
        """Give up the connection when the portion under way is through."""
        await asyncio.to_thread(self._thread.shutdown)
        self._drop()
