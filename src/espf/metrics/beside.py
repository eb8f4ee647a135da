"""Blocking work beside a loop, in threads that do not keep the process from ending."""

import asyncio
import contextlib
import functools
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

_Result = TypeVar("_Result")
_Told = TypeVar("_Told")


async def beside(work: Callable[[], _Result]) -> _Result:
    """Await what `work` gives, or raise what it raises.

    Not `asyncio.to_thread`: its threads are waited for at the end, and a silent network is long.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_Result] = loop.create_future()

    def run() -> None:
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - handed on to who waits
            outcome = functools.partial(_settle, future.set_exception, future, error)
        else:
            outcome = functools.partial(_settle, future.set_result, future, result)
        with contextlib.suppress(RuntimeError):  # the loop may have ended meanwhile
            loop.call_soon_threadsafe(outcome)

    threading.Thread(target=run, name="espf-beside", daemon=True).start()
    return await future


def _settle(
    settle: Callable[[_Told], None], future: "asyncio.Future[_Result]", told: _Told
) -> None:
    if not future.done():
        settle(told)


class Shared(Generic[_Result]):
    """Work that is done once for all who ask while it is under way."""

    def __init__(self, work: Callable[[], _Result]) -> None:
        self._work = work
        self._running: asyncio.Task[_Result] | None = None

    async def result(self, limit_s: float) -> _Result:
        """What it gives. Raises TimeoutError after the limit; the work goes on for the next."""
        if self._running is None or self._running.done():
            self._running = asyncio.ensure_future(beside(self._work))
        async with asyncio.timeout(limit_s):
            return await asyncio.shield(self._running)
