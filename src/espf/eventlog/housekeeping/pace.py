"""How much goes into one transaction, and how long others have their turn after it."""

import time

AT_MOST_S = 0.02
"""A transaction that took longer than this was too large."""
LEAST = 50
PAUSE_S = 0.005
OTHERS_SHARE = 1.0
"""Time for others after a transaction, by how long that took."""


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
        """Learn from a transaction, and leave others their share of time.

        Who waits for SQLite's lock looks for it now and then only: a short pause would be missed.
        """
        if seconds > AT_MOST_S:
            self.size = max(LEAST, self.size // 2)
        elif seconds < AT_MOST_S / 4:
            self.size = min(self._largest, self.size * 2)
        time.sleep(max(PAUSE_S, seconds * OTHERS_SHARE))
