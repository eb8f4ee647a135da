"""Reads the vitals for whoever scrapes, at most once a second, and judges what lives by watching.

Clocks of other machines are not trusted: an instance lives while its counter moves. Who has not
watched yet goes by the time of its last beat.
"""

import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from espf.clock import Clock
from espf.errors import StorageError
from espf.eventlog.operations import Operations
from espf.eventlog.vitals import InstanceVitals, OpenTransaction, Vitals
from espf.metrics.counts import InstanceCounts, counts_of

KEPT_S = 1.0
"""For so long everybody gets the same: scraping more often costs the database nothing."""
ALIVE_S = 30.0
"""An instance beats at least three times in it, or in the lease time if that is longer."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Vitals, and what follows from having watched."""

    vitals: Vitals
    living: tuple[InstanceVitals, ...]
    counts: Mapping[str, InstanceCounts]
    """What the living instances counted, by name; those of one name are added up."""


class Ages:
    """How long a transaction is open at least, for a user who may not see when it began."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: tuple[str, float] | None = None

    def aged(self, found: OpenTransaction | None) -> OpenTransaction | None:
        """The transaction with an age: its own, or the time since it was first seen here."""
        now_s = self._clock.monotonic()
        if found is None:
            self._seen = None
            return None
        if self._seen is None or self._seen[0] != found.key:
            self._seen = (found.key, now_s)
        if found.age_s is not None:
            return found
        return replace(found, age_s=now_s - self._seen[1])


class Living:
    """Which instances live."""

    def __init__(self, clock: Clock, alive_s: float) -> None:
        self._clock = clock
        self._alive_s = alive_s
        self._seen: dict[str, tuple[int, float]] = {}
        """By token: its counter, and when that last moved (boot-time clock, seconds)."""

    def of(self, listed: Collection[InstanceVitals]) -> tuple[InstanceVitals, ...]:
        """Those of the listed that live."""
        now_s = self._clock.monotonic()
        before, self._seen = self._seen, {}
        for one in listed:
            beats, moved_s = before.get(one.row.token, (None, 0.0))
            if beats is None:
                moved_s = now_s - abs(self._clock.now_us() - one.row.beat_us) / 1_000_000
            elif beats != one.beats:
                moved_s = now_s
            self._seen[one.row.token] = (one.beats, moved_s)
        return tuple(one for one in listed if now_s - self._seen[one.row.token][1] <= self._alive_s)


class VitalsReader:
    """Used from any thread. One for each process that is scraped."""

    def __init__(
        self,
        opened: Callable[[], AbstractContextManager[Operations]],
        clock: Clock,
        lease_s: float = 0.0,
    ) -> None:
        self._opened = opened
        self._clock = clock
        self._turn = threading.Lock()
        self._ages = Ages(clock)
        self._living = Living(clock, max(ALIVE_S, lease_s))
        self._kept: Reading | StorageError | None = None
        self._read_s = 0.0

    def read(self) -> Reading:
        """The vitals of the last second. Raises StorageError, the same for a second."""
        with self._turn:
            if self._kept is None or self._clock.monotonic() - self._read_s >= KEPT_S:
                try:
                    self._kept = self._fresh()
                except StorageError as error:
                    self._kept = error
                self._read_s = self._clock.monotonic()
            kept = self._kept
        if isinstance(kept, StorageError):
            raise kept
        return kept

    def check(self) -> bool:
        """Open the database, which looks at its version. Raises StorageError."""
        with self._opened():
            return True

    def oldest_writer(self, operations: Operations) -> OpenTransaction | None:
        """What holds readers back now, asked on the caller's connection."""
        with self._turn:
            return self._ages.aged(operations.oldest_writer())

    def _fresh(self) -> Reading:
        with self._opened() as operations:
            vitals = operations.vitals()
        aged = replace(vitals, oldest_writer=self._ages.aged(vitals.oldest_writer))
        living = self._living.of(aged.instances)
        return Reading(aged, living, _added_up(living))


def _added_up(living: Collection[InstanceVitals]) -> dict[str, InstanceCounts]:
    found: dict[str, InstanceCounts] = {}
    for one in living:
        found.setdefault(one.row.name, InstanceCounts()).plus(counts_of(one.row.metrics))
    return found
