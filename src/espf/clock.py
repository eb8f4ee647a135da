"""Time, passed in: the wall clock for what people read, the boot clock for what we wait for."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Two clocks: one jumps when an administrator sets it, the other only moves forward."""

    def now_us(self) -> int:
        """Wall time, microseconds since 1970-01-01 UTC. May jump; never used to hold a lease."""

    def monotonic(self) -> float:
        """Seconds since boot, suspended time included. Never jumps."""


class SystemClock:
    """The machine's own clocks."""

    def now_us(self) -> int:
        """Wall time, microseconds since 1970-01-01 UTC."""
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        """Seconds since boot; CLOCK_BOOTTIME, so a suspended machine's leases do end."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)


def utc_text(now_us: int) -> str:
    """`YYYY-MM-DD HH:MM:SS` in UTC, the form of `event_time` (domain, 2.3)."""
    return datetime.fromtimestamp(now_us / 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")
