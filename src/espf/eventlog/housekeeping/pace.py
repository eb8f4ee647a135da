"""How much goes into one transaction: as much as holds up nobody."""

import time

AT_MOST_S = 0.03
"""A transaction that took longer than this was too large."""
LEAST = 50
PAUSE_S = 0.005
"""Between two of them, so that others get their turn."""


class Pace:
    """Time that is left, and the size of a portion, which follows what the last ones took."""

    def __init__(self, budget_s: float, size: int = 100, largest: int = 1000) -> None:
        self._ends_s = time.monotonic() + budget_s
        self._largest = largest
        self.size = size

    @property
    def over(self) -> bool:
        """Whether the time is used up."""
        return time.monotonic() >= self._ends_s

    def took(self, seconds: float) -> None:
        """Learn from a transaction, and pause."""
        if seconds > AT_MOST_S:
            self.size = max(LEAST, self.size // 2)
        elif seconds < AT_MOST_S / 4:
            self.size = min(self._largest, self.size * 2)
        pause()


def pause() -> None:
    """Let others in."""
    time.sleep(PAUSE_S)
