"""One timer for all open requests of a client, in place of one timer for each.

A timer per request costs as much as sending it. So a sweep looks at everything that is open, at
most every 50 ms, finer when somebody waits for less than half a second; it runs only while there
is something to look at.
"""

import asyncio
from collections.abc import Callable

COARSE_S = 0.05
FINE_S = 0.001
SHARE = 0.1
"""A deadline is noticed at most this share of its timeout too late, within the two limits above."""
COARSE_TIMEOUT_S = COARSE_S / SHARE


class Sweeper:
    """Calls `sweep` again and again until it says that nothing is left to look at.

    `sweep` returns the seconds after which it wants to look again at the latest: 0 = as soon as
    the resolution says, None = not at all.
    """

    __slots__ = ("_handle", "_loop", "_sweep", "active", "finest_s")

    def __init__(self, sweep: Callable[[], float | None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._sweep = sweep
        self._handle: asyncio.TimerHandle | None = None
        self.active = False
        """Whether it runs at the resolution of requests; read before each request."""
        self.finest_s = COARSE_TIMEOUT_S
        """Shortest timeout seen since it last stood still."""

    def watch(self, timeout_s: float) -> None:
        """See to it that a timeout of this length is noticed in time."""
        if self.active and timeout_s >= self.finest_s:
            return
        self.active = True
        self.finest_s = min(self.finest_s, timeout_s)
        self._arm(self._resolution())

    def stop(self) -> None:
        """Look no more."""
        self.active = False
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _resolution(self) -> float:
        return min(COARSE_S, max(FINE_S, self.finest_s * SHARE))

    def _arm(self, delay_s: float) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._handle = self._loop.call_later(delay_s, self._run)

    def _run(self) -> None:
        self._handle = None
        delay_s = self._sweep()
        if delay_s == 0:
            self._arm(self._resolution())
            return
        self.active = False
        self.finest_s = COARSE_TIMEOUT_S
        if delay_s is not None:
            self._arm(delay_s)
