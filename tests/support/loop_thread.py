"""An event loop in a thread of its own, so that a test can be a plain script beside it.

Import it as `loop_thread`.
"""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, Self, TypeVar

_Result = TypeVar("_Result")


class LoopThread:
    """Receivers and proxies run here, whatever the test waits for."""

    def __enter__(self) -> Self:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="faults", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self._end_tasks())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()

    def run(self, work: Coroutine[Any, Any, _Result], limit_s: float = 30) -> _Result:
        """Do it on the loop, and wait for its end."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(limit_s)

    async def _end_tasks(self) -> None:
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        await asyncio.sleep(0.05)  # what was closed is told so
