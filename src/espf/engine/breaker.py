"""The circuit breaker of one handler: when a system is dead as a whole, stop sending and probe.

It opens after `Breaker.Failures` failures in a row over at least 5 entities, or after 5 refused
connections in a row; it closes at the first answer of any kind, a rejection included: a system
that refuses an event is alive.
"""

from collections import deque

from espf.eventlog.model import BreakerState, EntityKey

MIN_ENTITIES = 5
REFUSED_LIMIT = 5


class Breaker:
    """State machine without a clock: the caller passes times in."""

    def __init__(self, failures: int, probe_interval_s: float) -> None:
        self._limit = failures
        self._probe_interval_s = probe_interval_s
        self.state: BreakerState = "closed"
        self.since_us: int | None = None
        """First failure of the present row of failures."""
        self.reason: str | None = None
        self._failures = 0
        self._refused = 0
        self._entities: set[EntityKey] = set()
        self.next_probe_s = 0.0
        """When the next probe may be sent (boot-time clock), while it is open."""
        self._probed: deque[EntityKey] = deque(maxlen=64)

    @property
    def is_open(self) -> bool:
        """Whether only probes may be sent."""
        return self.state == "open"

    def restore(self, *, since_us: int | None, reason: str | None) -> None:
        """Start open, as the stored state says; the first probe is due at once."""
        self.state = "open"
        self.since_us = since_us
        self.reason = reason

    def succeeded(self) -> bool:
        """The system answered. True if this closed an open breaker."""
        if not self._failures and not self.is_open:
            return False
        closed = self.is_open
        self.state = "closed"
        self._failures = self._refused = 0
        self._entities.clear()
        self._probed.clear()
        self.reason = None
        return closed

    def failed(self, key: EntityKey, now_us: int, reason: str, *, refused: bool) -> bool:
        """An attempt got no usable answer. True if this opened the breaker."""
        if self._failures == 0 and not self.is_open:
            self.since_us = now_us
        self._failures += 1
        self._refused = self._refused + 1 if refused else 0
        if len(self._entities) < MIN_ENTITIES:
            self._entities.add(key)
        if self.is_open:
            self.reason = reason
            return False
        in_a_row = self._failures >= self._limit and len(self._entities) >= MIN_ENTITIES
        if not (in_a_row or self._refused >= REFUSED_LIMIT):
            return False
        self.state = "open"
        self.reason = reason
        self.next_probe_s = 0.0
        return True

    def probe_due(self, now_s: float) -> bool:
        """Whether a probe may be sent now (boot-time clock, seconds)."""
        return self.is_open and now_s >= self.next_probe_s

    def may_probe(self, key: EntityKey) -> bool:
        """Whether this entity was not among the last probes: one bad subscriber must not decide."""
        return key not in self._probed

    def probed_elsewhere(self, now_s: float) -> None:
        """Another instance has the present probe."""
        self.next_probe_s = now_s + self._probe_interval_s

    def probe_sent(self, key: EntityKey, now_s: float) -> None:
        """A probe left; the next one waits for the interval."""
        self._probed.append(key)
        self.next_probe_s = now_s + self._probe_interval_s

    def probe_unused(self) -> None:
        """The probe was not sent after all: another may leave at once."""
        self.next_probe_s = 0.0

    def forget_probes(self) -> None:
        """Every entity at hand was probed: start over with the first."""
        self._probed.clear()
