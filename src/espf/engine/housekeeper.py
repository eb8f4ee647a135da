"""Has the log's house kept, a portion at a time, in a thread: retention, partitions, blocks."""

import asyncio
from collections.abc import Callable

import structlog

from espf.errors import StorageError

FIRST_S = 5.0
EACH_S = 10.0
"""Between two looks when there was nothing more to do."""
SOON_S = 0.2

_log = structlog.get_logger("espf.engine")

KeepHouse = Callable[[], bool]
"""Does a portion of a second or so; True if there is more to do. Raises StorageError."""


async def keep_house_for_ever(keep_house: KeepHouse) -> None:
    """Call it again and again; of several instances one at a time finds something to do."""
    pause_s = FIRST_S
    while True:
        await asyncio.sleep(pause_s)
        try:
            more = await asyncio.to_thread(keep_house)
        except StorageError as error:
            _log.warning("housekeeping.failed", error=str(error))
            more = False
        pause_s = SOON_S if more else EACH_S
