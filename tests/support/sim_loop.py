"""An event loop with virtual time, on which the real engine runs deterministically and fast.

Sleeping costs nothing. Work for a thread is done on the loop, after a delay drawn from a seeded
source, and its result is handed over after another: so a read may see the database before a commit
and be looked at after it, as with real threads, and the same seed does the same again.
"""

import asyncio
import selectors
from collections.abc import Callable
from random import Random
from typing import Any

_DELAYS_S = (0.0, 0.0, 0.0002, 0.001, 0.004, 0.02)
_TICK_S = 1e-6


class SimTime:
    """Virtual time, which outlives the loops of a test: seconds, and a wall clock that may jump."""

    def __init__(self, start_us: int) -> None:
        self.now_s = 1000.0
        self.start_us = start_us
        self.jump_us = 0

    def now_us(self) -> int:
        return self.start_us + self.jump_us + int(self.now_s * 1_000_000)

    def monotonic(self) -> float:
        return self.now_s


class _Selector(selectors.DefaultSelector):
    def __init__(self, time: SimTime) -> None:
        super().__init__()
        self._time = time

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("nothing will ever happen again: everything waits for something")
        self._time.now_s += max(0.0, timeout)
        return []


class SimLoop(asyncio.SelectorEventLoop):
    """Runs coroutines in virtual time."""

    def __init__(self, time: SimTime, random: Random) -> None:
        self._virtual = time
        self._random = random
        self._free_at: dict[int, float] = {}
        self._handed_out: set[asyncio.Future[Any]] = set()
        self.crashed = False
        super().__init__(_Selector(time))

    def time(self) -> float:
        return self._virtual.now_s

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> "asyncio.Future[Any]":
        future: asyncio.Future[Any] = self.create_future()
        self._handed_out.add(future)
        future.add_done_callback(self._handed_out.discard)
        free = max(self.time(), self._free_at.get(id(executor), 0.0))
        begins = free + self._random.choice(_DELAYS_S) + _TICK_S
        ends = begins + self._random.choice(_DELAYS_S) + _TICK_S
        self._free_at[id(executor)] = ends
        self.call_at(begins, self._work, future, ends, lambda: func(*args))
        return future

    def _work(self, future: "asyncio.Future[Any]", ends: float, work: Callable[[], Any]) -> None:
        if self.crashed or future.cancelled():
            return
        result, error = None, None
        try:
            result = work()
        except Exception as caught:  # noqa: BLE001 - handed on, as a thread would
            error = caught
        self.call_at(ends, _hand_over, future, result, error)

    def crash(self) -> None:
        """Drop everything: nothing that was not done yet is done."""
        self.crashed = True
        tasks = asyncio.all_tasks(self)
        for waiting in (*tasks, *self._handed_out):
            waiting.cancel()
        self.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self.close()


def _hand_over(future: "asyncio.Future[Any]", result: object, error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
