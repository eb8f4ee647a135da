"""Whether the wall clock was set: due times and ages are told by it, and must not be meanwhile."""

from typing import NamedTuple

from espf.clock import Clock

CLOCK_JUMP_US = 1_000_000
"""The wall clock is taken to be set when it moves this much between two looks at it."""
SLACK_US = 100_000
"""So long before the last look may times have been told by the new clock already."""


class Jump(NamedTuple):
    """Somebody set the clock."""

    by_us: int
    since_us: int
    """What was noted from then on, by the new clock, was noted after it."""


class WallClock:
    """Compares the wall clock with the boot-time clock. `look` often."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._watched_s = clock.monotonic()
        self._offset_us = self._offset()
        self._moving = False

    def look(self) -> Jump | None:
        """A jump since the last look. Call `moved` when what was stored has been moved by it."""
        offset_us, now_s = self._offset(), self._clock.monotonic()
        by_us, self._offset_us = offset_us - self._offset_us, offset_us
        unwatched_us, self._watched_s = int((now_s - self._watched_s) * 1_000_000), now_s
        if abs(by_us) < CLOCK_JUMP_US:
            return None
        self._moving = True
        return Jump(by_us, self._clock.now_us() - min(unwatched_us + SLACK_US, abs(by_us) // 2))

    def moved(self) -> None:
        """What is stored goes by the new clock."""
        self._moving = False

    @property
    def fits(self) -> bool:
        """Whether stored times may be compared with the clock, which nobody has set just now."""
        return not self._moving and abs(self._offset() - self._offset_us) < CLOCK_JUMP_US

    def _offset(self) -> int:
        return self._clock.now_us() - int(self._clock.monotonic() * 1_000_000)
