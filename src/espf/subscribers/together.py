"""Reads details for many askers at once: those that wait are read together, a portion a turn."""

import asyncio

from espf.errors import StorageError
from espf.subscribers.details import Parts, Whose
from espf.subscribers.port import SubscriberSource

PORTION = 32
"""Of SQLite, which reads on the loop, so many take a millisecond and a half."""

_Waiter = asyncio.Future[Parts | StorageError]


class DetailReader:
    """Used from one event loop."""

    def __init__(self, source: SubscriberSource) -> None:
        self._source = source
        self._waiting: list[tuple[Whose, _Waiter]] = []
        self._turn = asyncio.Lock()

    async def of(self, whose: Whose) -> Parts:
        """What applications are told of it now. Raises StorageError."""
        mine: _Waiter = asyncio.get_running_loop().create_future()
        self._waiting.append((whose, mine))
        async with self._turn:
            while not mine.done():
                await asyncio.sleep(0)  # others may run, and ask as well
                await self._read()
        found = mine.result()
        if isinstance(found, StorageError):
            raise found
        return found

    async def _read(self) -> None:
        """Read the portion that has waited longest; among it may be some who wait no more."""
        portion, self._waiting = self._waiting[:PORTION], self._waiting[PORTION:]
        try:
            found: list[Parts] | StorageError = await self._source.details(
                [whose for whose, _ in portion]
            )
        except StorageError as error:
            found = error
        except BaseException:  # cut short: the others read for themselves
            self._waiting[:0] = portion
            raise
        for number, (_, waiter) in enumerate(portion):
            waiter.set_result(found if isinstance(found, StorageError) else found[number])
