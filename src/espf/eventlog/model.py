"""What goes in and out of the event log. Times `…_us` are microseconds since 1970-01-01 UTC."""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from espf.events.model import Event

LANES = 64
"""Lanes that entities are spread over: `entity_id % 64`."""
BULK_FROM = 64
"""Bulk events of an entity are in a lane of their own, that many numbers above the ordinary one."""
ALL_LANES = 128
"""Lanes of a handler, each with its cursor. An ordinary lane and its bulk lane have one owner."""
DAY_US = 86_400_000_000
MOVED_AT_ONCE = 1000
"""Parked rows whose times are moved in one transaction when a clock jumps: some 20 ms."""

EntityKey = tuple[str, int]
"""Kind and integer key of an entity: ("account", 1000889)."""

OutcomeName = Literal["delivered", "rejected", "retry", "unknown", "skipped"]
StatusName = Literal["queued", "in_progress", "retry", "finished", "failed", "skipped"]
BreakerState = Literal["closed", "open"]


@dataclass(frozen=True, slots=True)
class HandlerRow:
    """A handler as it is stored; `options` still hold encrypted secrets."""

    i_handler: int
    name: str
    type: str
    enabled: bool
    paused: bool
    keep_events: bool
    options: dict[str, object]
    subscriptions: tuple[str, ...]
    event_types: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class HandlerState:
    """Breaker of a handler, one for the whole fleet, and the time that does not count."""

    breaker: BreakerState = "closed"
    since_us: int | None = None
    """First failure of the present outage."""
    reason: str | None = None
    stopped_us: int = 0
    """Time spent paused or with an open breaker, finished stops only."""
    stopped_since_us: int | None = None
    """When the present stop began."""
    probe: int = 0
    """Moves each time an instance claims the next probe of a dead system."""

    def stopped_total_us(self, now_us: int) -> int:
        """Time that does not count towards giving up, the present stop included."""
        if self.stopped_since_us is None:
            return self.stopped_us
        return self.stopped_us + max(0, now_us - self.stopped_since_us)


@dataclass(frozen=True, slots=True)
class BreakerMove:
    """A breaker opened or closed; nothing is stored if another instance was quicker."""

    i_handler: int
    breaker: BreakerState
    since_us: int | None
    reason: str | None


class Standing(NamedTuple):
    """What an instance polls for."""

    horizon: int
    """Highest `i_event` below which no event can appear any more."""
    config_version: int
    """Moves with every change of a handler, and when an operator skips or resends events."""
    state_version: int
    """Moves when an instance opens or closes a breaker, or claims a probe."""


class LaneLease(NamedTuple):
    """A lane that this instance owns, and how far it is settled."""

    lane: int
    position: int
    fence: int


class LaneRow(NamedTuple):
    """A lane as everybody sees it: who owns it, and what moves while the owner lives."""

    i_handler: int
    lane: int
    owner: str | None
    """Token of an instance."""
    fence: int
    renewals: int


class InstanceRow(NamedTuple):
    """An instance as it tells of itself. `unable` and `metrics` are JSON."""

    token: str
    """Its own for each process: two of one name are two."""
    name: str
    host: str
    pid: int
    service_ip: str | None
    version: str
    started_us: int
    beat_us: int
    unable: str
    metrics: str


class InstanceBeat(NamedTuple):
    """What others need of an instance: it lives while `beats` moves."""

    token: str
    beats: int
    unable: str
    """JSON array of the handlers' keys that it could not start."""


class TokensGiven(NamedTuple):
    """What a handler's bucket gave, and when it can give more at the earliest."""

    tokens: float
    wait_s: float


class TokenWish(NamedTuple):
    """What an instance asks of a handler's bucket."""

    wanted: float
    returned: float
    """Tokens given before and not used: they go back."""
    rate: float
    burst: int
    expired: float = 0.0
    """Of the returned ones, those given more than a second ago: nobody counts them any more."""
    late: tuple[tuple[int, int], ...] = ()
    """Tokens used later than a moment after they were given: (microseconds ago, how many)."""


class Batch(NamedTuple):
    """One read of a handler's lanes."""

    events: list[Event]
    """Subscribed events, in order of `i_event`."""
    read_to: int
    """Everything up to here was looked at, unsubscribed types included."""
    parked: dict[EntityKey, int | None]
    """Entities of these events that have something parked: the events go behind it.

    With the first of it that waits for bulk events, if any does.
    """
    skips: dict[int, str]
    """Events that an operator asked to skip: i_event → reason."""
    already_parked: frozenset[int]
    """Events of this stretch that are parked themselves: they are sent from there."""
    bulk_ahead: bool = False
    """There are bulk events up to here that are not read yet."""


RELEASED_AT_ONCE = 500
"""So many parked events are looked at in one transaction."""


class ReleasedBehindBulk(NamedTuple):
    """A portion of what waited for bulk events."""

    released: int
    left: int
    """Of those looked at."""
    last: int | None
    """The last one looked at; None: there are no more after it."""


class ParkedEvent(NamedTuple):
    """An event that left its lane unsettled."""

    event: Event
    attempts: int
    probes: int
    due_us: int
    first_attempt_us: int | None
    stopped_base_us: int
    coalesced: int


class DueEvents(NamedTuple):
    """Parked events that may be tried now, and when to look again (None: nothing is waiting)."""

    events: list[ParkedEvent]
    next_due_us: int | None
    skips: dict[int, str]
    """Those that an operator asked to skip while they were under way: i_event → reason."""


class ParkedMoment(NamedTuple):
    """When an event was parked, which tells whether its times were moved since."""

    i_event: int
    parked_us: int


class AttemptRow(NamedTuple):
    """A row of the attempt log, in the order of its columns."""

    i_handler: int
    i_event: int
    attempt: int
    outcome: OutcomeName
    status: StatusName
    started_us: int
    duration_us: int
    code: int | None
    reason: str | None
    request: str
    answer: str
    instance: str


class ParkRow(NamedTuple):
    """An event to park, or a parked one to put back."""

    i_handler: int
    i_event: int
    entity: str
    entity_id: int
    lane: int
    attempts: int
    probes: int
    in_progress: int
    due_us: int | None
    """When it may be tried, if no earlier event of its entity is parked."""
    parked_us: int
    first_attempt_us: int | None
    stopped_base_us: int
    coalesced: int
    reason: str | None
    behind_bulk: int = 0
    """1: it waits until the cursors of both its lanes are past it."""


class UnparkRow(NamedTuple):
    """A parked event that is settled; the next of its entity becomes due."""

    i_handler: int
    i_event: int
    entity: str
    entity_id: int


class LanePosition(NamedTuple):
    """A cursor to move; refused if the lane's fence is another one."""

    i_handler: int
    lane: int
    position: int
    fence: int


ServiceStatus = Literal["OK", "IN_PROGRESS", "RETRY", "FAILED"]
"""Provisioning status of an account in a service group (domain, 5.1)."""


class ServiceGroup(NamedTuple):
    """What an account can be provisioned for: HSS, IPTV, …"""

    i_group: int
    name: str
    is_custom: bool
    """Made by the operator; the others are always there."""


class AccountStatus(NamedTuple):
    """How an account stands in a group."""

    i_group: int
    group: str
    status: ServiceStatus
    message: str
    set_us: int


MAX_STATUS_CHARS = 4000
"""Of its message."""


class StatusRow(NamedTuple):
    """The status that a result gives an account; none of an earlier event's replaces it."""

    i_handler: int
    i_account: int
    group_name: str
    status: ServiceStatus
    message: str
    i_event: int


@dataclass(slots=True)
class Settlement:
    """Everything that one transaction records. Applied whole or not at all."""

    instance: str
    now_us: int
    attempts: list[AttemptRow] = field(default_factory=list)
    park: list[ParkRow] = field(default_factory=list)
    repark: list[ParkRow] = field(default_factory=list)
    unpark: list[UnparkRow] = field(default_factory=list)
    positions: list[LanePosition] = field(default_factory=list)
    breakers: list[BreakerMove] = field(default_factory=list)
    release: list[tuple[int, int]] = field(default_factory=list)
    """(i_handler, since_us): what parked since then is due now, its outage being over."""

    statuses: list[StatusRow] = field(default_factory=list)
    skipped: list[tuple[int, int]] = field(default_factory=list)
    """(i_handler, i_event): an operator's skip request that is carried out."""

    def __bool__(self) -> bool:
        """Whether there is anything to record."""
        return bool(
            self.attempts
            or self.park
            or self.repark
            or self.unpark
            or self.positions
            or self.breakers
            or self.release
        )

    def of(self, i_handler: int) -> "Settlement":
        """The part of one handler, which can be recorded without the others'."""
        return Settlement(
            self.instance,
            self.now_us,
            attempts=[row for row in self.attempts if row.i_handler == i_handler],
            park=[row for row in self.park if row.i_handler == i_handler],
            repark=[row for row in self.repark if row.i_handler == i_handler],
            unpark=[row for row in self.unpark if row.i_handler == i_handler],
            positions=[row for row in self.positions if row.i_handler == i_handler],
            breakers=[row for row in self.breakers if row.i_handler == i_handler],
            statuses=[row for row in self.statuses if row.i_handler == i_handler],
            release=[row for row in self.release if row[0] == i_handler],
            skipped=[row for row in self.skipped if row[0] == i_handler],
        )
