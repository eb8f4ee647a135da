"""How an installation is doing, as the database shows it: for metrics, doctor and console."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from espf.eventlog.model import InstanceRow
from espf.eventlog.operations import HandlerHealth

HELD_S: Final = 30.0
"""Nothing that writes for its own sake is open so long; what is, was forgotten."""


@dataclass(frozen=True, slots=True)
class OpenTransaction:
    """A transaction that has written something and is not over: nobody reads what came after it."""

    key: str
    """Its number in the database."""
    pid: int | None
    """Process of the server that works for it; None for a prepared transaction."""
    application: str
    """What its program calls itself."""
    age_s: float | None
    """Since it began. None if our user may not see that; `GRANT pg_monitor` lets it."""

    @property
    def is_held(self) -> bool:
        """Whether it is open for so long that somebody should be told."""
        return self.age_s is not None and self.age_s >= HELD_S


@dataclass(frozen=True, slots=True)
class HandlerVitals:
    """What is to be known of a handler beside its health."""

    health: HandlerHealth
    parked_due: int
    """Parked events that may be tried now."""
    tokens: float | None
    """Level of its bucket when it was last drawn from; None: it is full."""
    tokens_age_s: float
    """Since then."""
    lanes: Mapping[str | None, int]
    """How many lanes each instance (by its token) owns; None: those that nobody owns."""


@dataclass(frozen=True, slots=True)
class InstanceVitals:
    """An instance as it last told of itself."""

    row: InstanceRow
    beats: int
    """It lives while this moves."""


@dataclass(frozen=True, slots=True)
class Vitals:
    """Everything at one moment."""

    read_us: int
    handlers: tuple[HandlerVitals, ...]
    instances: tuple[InstanceVitals, ...]
    """All that are listed, the dead of the last day included."""
    last_event: int
    """The last number drawn."""
    horizon: int
    """Up to here every event that will ever be there can be read."""
    oldest_writer: OpenTransaction | None
    """What holds the horizon back the most."""
    partitions_ahead: int | None
    """Partitions that are ready for later numbers; None on SQLite, which has none."""

    @property
    def horizon_lag(self) -> int:
        """How many numbers cannot be read yet."""
        return max(0, self.last_event - self.horizon)
