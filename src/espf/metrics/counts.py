"""What one instance counts: plain numbers, so that counting costs next to nothing.

Whoever serves `/metrics` turns them into Prometheus's words; they also travel as JSON, with the
instance's heartbeat, to whoever serves them for the whole fleet.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Self

import orjson

SECOND_US = 1_000_000
BOUNDS_US = tuple(
    int(seconds * SECOND_US)
    for seconds in (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
)
"""Upper ends of the histograms' buckets, in microseconds."""


class Durations:
    """A histogram of durations."""

    __slots__ = ("buckets", "sum_us")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BOUNDS_US) + 1)
        """How many fell into each bucket; the last one is for all that took longer."""
        self.sum_us = 0

    def add(self, durations_us: Iterable[int]) -> None:
        """Count these: sorted, they are counted bucket by bucket and not one by one."""
        ordered = sorted(durations_us)
        below = 0
        for place, bound in enumerate(BOUNDS_US):
            if below == len(ordered):
                break
            upto = bisect_left(ordered, bound + 1, below)
            self.buckets[place] += upto - below
            below = upto
        self.buckets[-1] += len(ordered) - below
        self.sum_us += sum(ordered)

    def plus(self, other: "Durations") -> None:
        """Add what another counted."""
        self.buckets = [a + b for a, b in zip(self.buckets, other.buckets, strict=True)]
        self.sum_us += other.sum_us

    def cumulative(self) -> Iterator[tuple[float, int]]:
        """(upper end in seconds, how many took at most that long); the last end is infinite."""
        ends = (*(bound / SECOND_US for bound in BOUNDS_US), float("inf"))
        total = 0
        for end, count in zip(ends, list(self.buckets), strict=True):
            total += count
            yield end, total

    def to_json(self) -> list[int]:
        """The sum, then the buckets."""
        return [self.sum_us, *self.buckets]

    @classmethod
    def from_json(cls, told: Sequence[int]) -> Self:
        """What `to_json` told. Raises ValueError if the buckets are other ones."""
        made = cls()
        if len(told) != len(made.buckets) + 1:
            raise ValueError("another release's buckets")
        made.sum_us, *made.buckets = (int(one) for one in told)
        return made


class HandlerCounts:
    """What an instance counts of one handler."""

    __slots__ = ("events_read", "latency", "outcomes", "token_burst", "token_rate", "token_wait_s")

    def __init__(self) -> None:
        self.outcomes: dict[str, int] = {}
        """Attempts that are committed, by outcome."""
        self.latency = Durations()
        """From the send to the answer."""
        self.token_wait_s = 0.0
        """Time in which only tokens were missing."""
        self.events_read = 0
        """Read from the lanes, to be sent or skipped."""
        self.token_rate: float | None = None
        """The bucket of its options; None if it has none."""
        self.token_burst = 0

    def plus(self, other: "HandlerCounts") -> None:
        """Add what another process of the same name counted."""
        for outcome, count in other.outcomes.items():
            self.outcomes[outcome] = self.outcomes.get(outcome, 0) + count
        self.latency.plus(other.latency)
        self.token_wait_s += other.token_wait_s
        self.events_read += other.events_read
        self.token_rate, self.token_burst = other.token_rate, other.token_burst

    def to_json(self) -> dict[str, Any]:
        """Everything, for `from_json`."""
        return {
            "outcomes": dict(self.outcomes),
            "latency": self.latency.to_json(),
            "token_wait_s": self.token_wait_s,
            "events_read": self.events_read,
            "token_rate": self.token_rate,
            "token_burst": self.token_burst,
        }

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Self:
        """What `to_json` told."""
        made = cls()
        made.outcomes = {str(name): int(count) for name, count in told["outcomes"].items()}
        made.latency = Durations.from_json(told["latency"])
        made.token_wait_s = float(told["token_wait_s"])
        made.events_read = int(told["events_read"])
        rate = told["token_rate"]
        made.token_rate = None if rate is None else float(rate)
        made.token_burst = int(told["token_burst"])
        return made


class InstanceCounts:
    """What one instance counts."""

    def __init__(self) -> None:
        self.handlers: dict[str, HandlerCounts] = {}
        """By the handler's name."""
        self.settlements = Durations()

    def of(self, handler: str) -> HandlerCounts:
        """The counts of a handler, which outlive its restarts."""
        return self.handlers.setdefault(handler, HandlerCounts())

    def plus(self, other: "InstanceCounts") -> None:
        """Add what another process of the same name counted."""
        for name, counts in other.handlers.items():
            self.of(name).plus(counts)
        self.settlements.plus(other.settlements)

    def to_json(self) -> str:
        """Everything, for `counts_of`."""
        handlers = {name: counts.to_json() for name, counts in list(self.handlers.items())}
        told = {"handlers": handlers, "settlements": self.settlements.to_json()}
        return orjson.dumps(told).decode()


def counts_of(told: str) -> InstanceCounts:
    """What an instance told. Nothing for what is not understood: it may be of another release."""
    made = InstanceCounts()
    try:
        found = orjson.loads(told)
        settlements = Durations.from_json(found["settlements"])
        handlers = {
            str(name): HandlerCounts.from_json(one) for name, one in found["handlers"].items()
        }
    except (ValueError, TypeError, KeyError, AttributeError):
        return made
    made.handlers, made.settlements = handlers, settlements
    return made
