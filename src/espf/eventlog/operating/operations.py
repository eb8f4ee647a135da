"""Operations (see the port) on a session of either engine; each change is one transaction."""

from collections.abc import Mapping, Sequence

import orjson

from espf.clock import Clock
from espf.errors import ConfigError
from espf.eventlog.model import LANES, AccountStatus, AttemptRow, HandlerRow, ServiceGroup
from espf.eventlog.operating import groups, replaying, resending, storing
from espf.eventlog.operating.handlers import handler_row
from espf.eventlog.operating.health import health_of
from espf.eventlog.operating.search.finding import find
from espf.eventlog.operating.search.pairs import event_of
from espf.eventlog.operating.search.views import views_of
from espf.eventlog.operating.session import Session
from espf.eventlog.operating.vitals import (
    handler_vitals,
    instance_vitals,
    partitions_ahead,
)
from espf.eventlog.operations import (
    EventDetails,
    EventFilter,
    EventStatus,
    HandlerChange,
    HandlerHealth,
    NewEvent,
    PairKey,
    PassedBy,
    Progress,
    ReplayPlan,
    Tally,
)
from espf.eventlog.vitals import OpenTransaction, Vitals

HORIZON_WAIT_S = 0.1
"""Longer than an ordinary transaction takes: what is open then does hold readers back."""


class SessionOperations:
    """Operations (see the port) on a session, which it owns. Used from one thread at a time."""

    def __init__(self, session: Session, clock: Clock) -> None:
        self._session = session
        self._clock = clock

    def handlers(self) -> list[HandlerRow]:
        """All handlers, by name."""
        with self._session.reading():
            return _handlers(self._session)

    def health(self) -> list[HandlerHealth]:
        """How each handler is doing, by name."""
        with self._session.reading():
            return health_of(self._session, _handlers(self._session))

    def vitals(self) -> Vitals:
        """How the whole installation is doing."""
        session, now_us = self._session, self._clock.now_us()
        oldest = session.oldest_writer()  # first: what is over by the next line holds nobody back
        horizon = session.end_of_log(HORIZON_WAIT_S)
        last_event = session.last_number()
        with session.reading():
            health = health_of(session, _handlers(session))
            return Vitals(
                read_us=now_us,
                handlers=handler_vitals(session, health, now_us),
                instances=instance_vitals(session),
                last_event=last_event,
                horizon=horizon,
                oldest_writer=oldest,
                partitions_ahead=partitions_ahead(session, last_event),
            )

    def oldest_writer(self) -> OpenTransaction | None:
        """The open transaction that holds all readers back."""
        return self._session.oldest_writer()

    def provisioning(self) -> dict[str, str]:
        """The [provisioning] settings: AlertRecepient, send_options."""
        with self._session.reading():
            return dict(self._session.run("provisioning").fetchall())

    def apply(
        self, changes: Sequence[HandlerChange], provisioning: Mapping[str, str] | None = None
    ) -> None:
        """Add or change handlers (by name) and settings, all or nothing."""
        session, now_us = self._session, self._clock.now_us()
        end = session.end_of_log()
        with session.changing():
            session.run("lock_configuration")
            for change in changes:
                storing.store(session, change, now_us, end)
            for name, value in (provisioning or {}).items():
                session.run("set_provisioning", {"name": name, "value": value})
            storing.publish(session)

    def groups(self) -> list[ServiceGroup]:
        """All service groups."""
        with self._session.reading():
            return groups.groups(self._session)

    def create_group(self, name: str) -> ServiceGroup:
        """Add a custom group. Raises ConfigError."""
        with self._session.changing():
            return groups.create(self._session, name)

    def delete_group(self, wanted: str) -> ServiceGroup:
        """Remove a custom group. Raises ConfigError."""
        with self._session.changing():
            return groups.delete(self._session, wanted)

    def set_status(self, i_account: int, group: str, status: str, message: str = "") -> None:
        """Set an account's provisioning status. Raises ConfigError."""
        now_us = self._clock.now_us()
        with self._session.changing():
            groups.set_status(self._session, i_account, group, status, message, now_us)

    def statuses(self, i_account: int) -> list[AccountStatus]:
        """An account's provisioning statuses."""
        with self._session.reading():
            return groups.statuses(self._session, i_account)

    def set_enabled(self, name: str, enabled: bool) -> bool:
        """Enable or disable. False if it was so already. Raises ConfigError for an unknown name."""
        session = self._session
        end = session.end_of_log()
        with session.changing():
            session.run("lock_configuration")
            storing.require(session, name)
            changed = storing.set_enabled(session, name, enabled, self._clock.now_us(), end)
            storing.publish(session)
        return changed

    def set_paused(self, name: str, paused: bool) -> bool:
        """Pause or resume. False if it was so already. Raises ConfigError for an unknown name."""
        session = self._session
        with session.changing():
            session.run("lock_configuration")
            storing.require(session, name)
            bound = {"name": name, "wanted": int(paused), "now_us": self._clock.now_us()}
            row = session.run("set_paused", bound).fetchone()
            changed = row is not None
            if changed:  # the time stopped does not count towards giving up
                counting = "start_counting" if paused else "stop_counting"
                session.run(counting, {**bound, "i_handler": row[0]})
                session.run("bump_state_version")
            storing.publish(session)
        return changed

    def events(
        self, wanted: EventFilter, limit: int, before: PairKey | int | None = None
    ) -> list[EventStatus]:
        """Newest first, behind a pair or below a number. An event appears once for each handler."""
        with self._session.reading():
            return find(self._session, wanted, limit, before=before)

    def newer(self, wanted: EventFilter, after: PairKey | int, limit: int) -> list[EventStatus]:
        """Oldest first, behind a pair or above a number."""
        with self._session.reading():
            return find(self._session, wanted, limit, after=after)

    def newer_attempts(self, after: int, limit: int) -> list[tuple[int, AttemptRow]]:
        """(i_attempt, attempt) above `after`, oldest first."""
        with self._session.reading():
            rows = self._session.run("newer_attempts", {"after": after, "limit": limit})
            return [(row[0], AttemptRow._make(row[1:])) for row in rows]

    def details(self, i_event: int) -> EventDetails | None:
        """Everything about one event, None if there is no such event."""
        with self._session.reading():
            row = self._session.run("event", {"i_event": i_event}).fetchone()
            if row is None:
                return None
            return EventDetails(
                event=event_of(row),
                statuses=find(self._session, EventFilter(i_events=[i_event]), 10_000),
                attempts=_attempts(self._session, i_event),
            )

    def newest_event(self) -> int:
        """Number of the newest event, 0 if there is none."""
        return int(self._session.run("last_drawn").fetchone()[0])

    def newest_attempt(self) -> int:
        """Number of the newest attempt, 0 if there is none."""
        return int(self._session.run("last_attempt").fetchone()[0])

    def passed_by(self, name: str) -> list[PassedBy]:
        """Ranges of events that the handler passed by, oldest first."""
        with self._session.reading():
            storing.require(self._session, name)
            return views_of(self._session, [name])[0].passed

    def retry(
        self, wanted: EventFilter, now_us: int, progress: Progress | None = None, after: int = 0
    ) -> int:
        """Have failed events sent again, and waiting retries now; returns how many."""
        session = self._session
        return resending.change_all(
            session,
            resending.portions(session, resending.sendable(wanted), after),
            lambda found: resending.retry(session, found, now_us),
            progress,
        )

    def would_retry(
        self, wanted: EventFilter, now_us: int, progress: Progress | None = None, after: int = 0
    ) -> Tally:
        """What `retry` would change."""
        return resending.count_all(
            resending.portions(self._session, resending.sendable(wanted), after),
            lambda found: resending.sent_again(found, now_us),
            progress,
        )

    def skip(
        self, wanted: EventFilter, reason: str, now_us: int, progress: Progress | None = None
    ) -> int:
        """End waiting events as skipped; returns how many. What is under way is not recalled."""
        session = self._session
        return resending.change_all(
            session,
            resending.portions(session, resending.skippable(wanted)),
            lambda found: resending.skip(session, found, reason, now_us),
            progress,
        )

    def would_skip(self, wanted: EventFilter, progress: Progress | None = None) -> Tally:
        """What `skip` would change."""
        return resending.count_all(
            resending.portions(self._session, resending.skippable(wanted)),
            lambda found: resending.skipped(self._session, found),
            progress,
        )

    def would_replay(
        self, name: str, first: int | None = None, since_us: int | None = None
    ) -> ReplayPlan:
        """What a replay from an event's number, or from a time on, would send."""
        with self._session.reading():
            return replaying.plan(self._session, name, first, since_us)

    def replay(self, name: str, first: int) -> bool:
        """Send everything from this event on again, in order, finished or not."""
        with self._session.changing():
            self._session.run("lock_configuration")
            return replaying.replay(self._session, name, first, self._clock.now_us())

    def emit(self, events: Sequence[NewEvent]) -> list[int | None]:
        """Append events; None for a type that no handler is subscribed to: it is not stored."""
        with self._session.changing():
            return [_emit(self._session, event) for event in events]

    def close(self) -> None:
        """Give up the connection."""
        self._session.close()


def _handlers(session: Session) -> list[HandlerRow]:
    rows = session.run("handlers").fetchall()
    types = [session.run("subscriptions", {"i_handler": row[0]}).fetchall() for row in rows]
    return [
        handler_row(row, (name for (name,) in names))
        for row, names in zip(rows, types, strict=True)
    ]


def _attempts(session: Session, i_event: int) -> list[AttemptRow]:
    """Every attempt at the event by any handler, oldest first."""
    rows = session.run("attempts_of", {"i_event": i_event})
    return [AttemptRow._make(row) for row in rows]


def _emit(session: Session, event: NewEvent) -> int | None:
    if event.entity_id < 0:
        raise ConfigError(f"The key of {event.entity} must not be negative: {event.entity_id}.")
    gate = session.run("gate_is_open", {"event_type": event.event_type})
    if not gate.fetchone()[0]:
        return None
    row = session.run(
        "emit",
        {
            "i_env": event.i_env,
            "event_type": event.event_type,
            "entity": event.entity,
            "entity_id": event.entity_id,
            "lane": event.entity_id % LANES,
            "variables": orjson.dumps(dict(event.variables)).decode(),
            "has_sim": int(event.has_sim),
        },
    ).fetchone()
    return int(row[0])
