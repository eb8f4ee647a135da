"""Operations (see the port) on a session of either engine; each change is one transaction."""

from collections.abc import Mapping, Sequence

import orjson

from espf.clock import Clock
from espf.errors import ConfigError
from espf.eventlog.model import LANES, AttemptRow, HandlerRow
from espf.eventlog.operating import resending, storing
from espf.eventlog.operating.handlers import handler_row
from espf.eventlog.operating.health import health_of
from espf.eventlog.operating.search.finding import find
from espf.eventlog.operating.search.pairs import event_of
from espf.eventlog.operating.session import Session
from espf.eventlog.operations import (
    EventDetails,
    EventFilter,
    EventStatus,
    HandlerChange,
    HandlerHealth,
    NewEvent,
    PairKey,
)


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

    def retry(self, wanted: EventFilter, now_us: int) -> int:
        """Have failed events sent again, and waiting retries now; returns how many."""
        return resending.in_portions(
            self._session,
            resending.sendable(wanted),
            lambda found: resending.retry(self._session, found, now_us),
        )

    def skip(self, wanted: EventFilter, reason: str, now_us: int) -> int:
        """End waiting events as skipped; returns how many. What is under way is not recalled."""
        return resending.in_portions(
            self._session,
            wanted,
            lambda found: resending.skip(self._session, found, reason, now_us),
        )

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
