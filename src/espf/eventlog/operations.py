"""What operators do with the event log and its handlers: the CLI, later console and REST.

Calls are synchronous and each is one transaction. All raise StorageError when the database fails.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from espf.eventlog.model import AccountStatus, AttemptRow, HandlerRow, ServiceGroup, StatusName
from espf.events.model import Event

if TYPE_CHECKING:
    from espf.eventlog.vitals import OpenTransaction, Vitals


@dataclass(frozen=True, slots=True)
class HandlerChange:
    """A handler to add, or to change in every field; `options` hold encrypted secrets."""

    name: str
    type: str
    enabled: bool
    keep_events: bool
    options: Mapping[str, object]
    subscriptions: tuple[str, ...]
    """As the operator wrote them."""
    event_types: frozenset[str]
    """The canonical v1 types that they stand for."""
    start: int | None = None
    """A new handler's first event, None for those that come from now on."""


@dataclass(frozen=True, slots=True)
class HandlerHealth:
    """How a handler is doing."""

    handler: HandlerRow
    backlog: int
    """Events of its types that are not settled, parked ones included; counted up to `COUNT_TO`."""
    backlog_exact: bool
    """False when there are more than were counted."""
    parked: int
    breaker: str
    breaker_since_us: int | None
    breaker_reason: str | None
    oldest_us: int | None
    """When the oldest unsettled event happened (wall clock)."""
    last_reason: str | None
    """Reason of the newest attempt that did not deliver."""

    @property
    def backlog_shown(self) -> str:
        """The backlog for people: `100000+` when there are more than were counted."""
        return f"{self.backlog}{'' if self.backlog_exact else '+'}"


COUNT_TO = 100_000
"""Counting further would take seconds each time somebody looks."""


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which pairs of event and handler are meant; None means any. Times in microseconds."""

    i_events: Sequence[int] | None = None
    handler: str | None = None
    event_types: Sequence[str] | None = None
    entity: str | None = None
    entity_id: int | None = None
    statuses: Sequence[StatusName] | None = None
    since_us: int | None = None
    until_us: int | None = None


class PairKey(NamedTuple):
    """A pair of event and handler, behind which a page begins."""

    i_event: int
    handler: str


class PassedBy(NamedTuple):
    """Events that a handler passed by without sending them: above `after`, up to `upto`."""

    after: int
    upto: int
    events: int
    """How many of them it would have been sent."""
    at_us: int
    reason: str


class EventStatus(NamedTuple):
    """One event as one handler sees it."""

    event: Event
    handler: str
    i_handler: int
    status: StatusName
    attempts: int
    due_us: int | None
    """When it is tried again; None if it waits behind another, or is settled."""
    outcome: str | None
    """Of the last attempt."""
    code: int | None
    reason: str | None
    last_us: int | None


@dataclass(frozen=True, slots=True)
class EventDetails:
    """An event, its standing with each handler, and every attempt, oldest first."""

    event: Event
    statuses: list[EventStatus]
    attempts: list[AttemptRow]


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event given by hand or from outside."""

    event_type: str
    entity: str
    entity_id: int
    i_env: int = 1
    variables: Mapping[str, object] = field(default_factory=dict)
    has_sim: bool = False


Tally = Counter[tuple[StatusName, str]]
"""(status, event type) → how many pairs of event and handler."""

Progress = Callable[[int, int], None]
"""Called with how many were changed or counted so far, and the number of the last event."""


class ReplayPlan(NamedTuple):
    """What a replay sends."""

    first: int | None
    """The first event; None if there is nothing to send."""
    oldest: int | None
    """The oldest event that is kept; None if there is none at all."""
    by_type: dict[str, int]
    """Event type → how many, those included that wait already."""


class Operations(Protocol):
    """The event log from an operator's chair."""

    def handlers(self) -> list[HandlerRow]:
        """All handlers, by name."""

    def health(self) -> list[HandlerHealth]:
        """How each handler is doing, by name."""

    def vitals(self) -> "Vitals":
        """How the whole installation is doing: handlers, instances, what holds readers back."""

    def oldest_writer(self) -> "OpenTransaction | None":
        """The open transaction that holds all readers back; None on SQLite, where none does."""

    def provisioning(self) -> dict[str, str]:
        """The [provisioning] settings: AlertRecepient, send_options."""

    def apply(
        self, changes: Sequence[HandlerChange], provisioning: Mapping[str, str] | None = None
    ) -> None:
        """Add or change handlers (by name) and settings, all or nothing.

        Sets the capture gate, and the cursors of new handlers. A handler that is enabled again
        without `keep_events` starts at the log's end; what it had parked ends skipped.
        """

    def groups(self) -> list[ServiceGroup]:
        """All service groups, the predefined ones first."""

    def create_group(self, name: str) -> ServiceGroup:
        """Add a custom group. Raises ConfigError for a name that is none or that there is."""

    def delete_group(self, wanted: str) -> ServiceGroup:
        """Remove a custom group, by name or number, with its statuses. Raises ConfigError."""

    def set_status(self, i_account: int, group: str, status: str, message: str = "") -> None:
        """Set an account's provisioning status in a group; results of events until now leave it.

        Raises ConfigError for an unknown group or status, or too long a message.
        """

    def statuses(self, i_account: int) -> list[AccountStatus]:
        """An account's provisioning statuses, by group."""

    def set_enabled(self, name: str, enabled: bool) -> bool:
        """Enable or disable. False if it was so already. Raises ConfigError for an unknown name."""

    def set_paused(self, name: str, paused: bool) -> bool:
        """Pause or resume. False if it was so already. Raises ConfigError for an unknown name."""

    def events(
        self, wanted: EventFilter, limit: int, before: PairKey | int | None = None
    ) -> list[EventStatus]:
        """Newest first, behind a pair or below a number. An event appears once for each handler."""

    def newer(self, wanted: EventFilter, after: PairKey | int, limit: int) -> list[EventStatus]:
        """Oldest first, behind a pair or above a number."""

    def newer_attempts(self, after: int, limit: int) -> list[tuple[int, AttemptRow]]:
        """(i_attempt, attempt) above `after`, oldest first: what `tail` follows."""

    def details(self, i_event: int) -> EventDetails | None:
        """Everything about one event, None if there is no such event."""

    def newest_event(self) -> int:
        """Number of the newest event, 0 if there is none."""

    def newest_attempt(self) -> int:
        """Number of the newest attempt, 0 if there is none."""

    def passed_by(self, name: str) -> list[PassedBy]:
        """Ranges of events that the handler passed by, oldest first."""

    def retry(
        self, wanted: EventFilter, now_us: int, progress: Progress | None = None, after: int = 0
    ) -> int:
        """Have failed events sent again, and waiting retries now; returns how many.

        With `i_events` or statuses given, finished and skipped ones are sent again, too. Only
        events above `after` are looked at. Each portion of 500 is a transaction.
        """

    def skip(
        self, wanted: EventFilter, reason: str, now_us: int, progress: Progress | None = None
    ) -> int:
        """End waiting events as skipped; returns how many. What is under way is not recalled."""

    def would_retry(
        self, wanted: EventFilter, now_us: int, progress: Progress | None = None, after: int = 0
    ) -> Tally:
        """What `retry` would change."""

    def would_skip(self, wanted: EventFilter, progress: Progress | None = None) -> Tally:
        """What `skip` would change."""

    def would_replay(
        self, name: str, first: int | None = None, since_us: int | None = None
    ) -> ReplayPlan:
        """What a replay from an event's number, or from a time on, would send."""

    def replay(self, name: str, first: int) -> bool:
        """Send everything from this event on again, in order, finished or not; one transaction.

        False, changing nothing, if the handler waits for the event already.
        """

    def emit(self, events: Sequence[NewEvent]) -> list[int | None]:
        """Append events; None for a type that no handler is subscribed to: it is not stored."""

    def close(self) -> None:
        """Give up the connection."""
