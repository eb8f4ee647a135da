"""Loops outlive a database that is locked, full or away for a while."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from espf.errors import LeaseLost, StorageError, StorageRefused

FIRST_DELAY_S = 0.1
LAST_DELAY_S = 5.0

_Result = TypeVar("_Result")
_log = structlog.get_logger("espf.engine")


async def until_stored(what: str, work: Callable[[], Awaitable[_Result]]) -> _Result:
    """Await `work()`, again and again with growing pauses while the database fails.

    `work` must be safe to repeat: each is one transaction, applied whole or not at all.
    Raises LeaseLost and StorageRefused, which no waiting mends.
    """
    delay_s = FIRST_DELAY_S
    while True:
        try:
            return await work()
        except (LeaseLost, StorageRefused):
            raise
        except StorageError as error:
            _log.error("storage.failed", doing=what, error=str(error), retry_in_s=delay_s)
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, LAST_DELAY_S)
