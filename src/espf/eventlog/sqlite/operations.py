"""Operations on SQLite: one connection, every change one immediate transaction."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import orjson

from espf.clock import Clock
from espf.errors import ConfigError
from espf.eventlog.model import LANES, AttemptRow, HandlerRow
from espf.eventlog.operations import (
    COUNT_TO,
    EventDetails,
    EventFilter,
    EventStatus,
    HandlerChange,
    HandlerHealth,
    NewEvent,
)
from espf.eventlog.sqlite import reading, resending, searching, storing
from espf.eventlog.sqlite.connection import connect, transaction, translated
from espf.eventlog.statements import statements

_SQL = statements("sqlite")


class SqliteOperations:
    """Operations (see the port) on one SQLite file. Used from one thread at a time.

    Raises StorageError when opened on a file that is missing or of another version.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._connection = connect(path)
        self._connection.text_factory = lambda text: text.decode("utf-8", "replace")

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with translated(self._path):
            yield self._connection

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        with translated(self._path), transaction(self._connection):
            yield self._connection

    def handlers(self) -> list[HandlerRow]:
        """All handlers, by name."""
        with self._reading() as connection:
            return reading.handlers(connection)

    def health(self) -> list[HandlerHealth]:
        """How each handler is doing, by name."""
        with self._reading() as connection:
            return [_health(connection, row) for row in reading.handlers(connection)]

    def provisioning(self) -> dict[str, str]:
        """The [provisioning] settings: AlertRecepient, send_options."""
        with self._reading() as connection:
            return dict(connection.execute(_SQL["provisioning"]).fetchall())

    def apply(
        self, changes: Sequence[HandlerChange], provisioning: Mapping[str, str] | None = None
    ) -> None:
        """Add or change handlers (by name) and settings, all or nothing."""
        now_us = self._clock.now_us()
        with self._changing() as connection:
            for change in changes:
                storing.store(connection, change, now_us)
            for name, value in (provisioning or {}).items():
                connection.execute(_SQL["set_provisioning"], {"name": name, "value": value})
            storing.publish(connection)

    def set_enabled(self, name: str, enabled: bool) -> bool:
        """Enable or disable. False if it was so already. Raises ConfigError for an unknown name."""
        with self._changing() as connection:
            storing.require(connection, name)
            changed = storing.set_enabled(connection, name, enabled, self._clock.now_us())
            storing.publish(connection)
        return changed

    def set_paused(self, name: str, paused: bool) -> bool:
        """Pause or resume. False if it was so already. Raises ConfigError for an unknown name."""
        with self._changing() as connection:
            storing.require(connection, name)
            bound = {"name": name, "wanted": int(paused), "now_us": self._clock.now_us()}
            changed = connection.execute(_SQL["set_paused"], bound).fetchone() is not None
            storing.publish(connection)
        return changed

    def events(
        self, wanted: EventFilter, limit: int, before: int | None = None
    ) -> list[EventStatus]:
        """Newest first, below event number `before`. An event appears once for each handler."""
        with self._reading() as connection:
            return searching.find(connection, wanted, limit, before=before)

    def newer(self, wanted: EventFilter, after: int, limit: int) -> list[EventStatus]:
        """Oldest first, above event number `after`."""
        with self._reading() as connection:
            return searching.find(connection, wanted, limit, after=after)

    def newer_attempts(self, after: int, limit: int) -> list[tuple[int, AttemptRow]]:
        """(i_attempt, attempt) above `after`, oldest first."""
        with self._reading() as connection:
            rows = connection.execute(_SQL["newer_attempts"], {"after": after, "limit": limit})
            return [(row[0], AttemptRow._make(row[1:])) for row in rows]

    def details(self, i_event: int) -> EventDetails | None:
        """Everything about one event, None if there is no such event."""
        with self._reading() as connection:
            row = connection.execute(_SQL["event"], {"i_event": i_event}).fetchone()
            if row is None:
                return None
            return EventDetails(
                event=searching.event_of(row),
                statuses=searching.find(connection, EventFilter(i_events=[i_event]), 10_000),
                attempts=searching.attempts_of(connection, i_event),
            )

    def retry(self, wanted: EventFilter, now_us: int) -> int:
        """Have failed events sent again, and waiting retries now; returns how many."""
        return resending.in_portions(
            self._changing,
            resending.sendable(wanted),
            lambda connection, found: resending.retry(connection, found, now_us),
        )

    def skip(self, wanted: EventFilter, reason: str, now_us: int) -> int:
        """End waiting events as skipped; returns how many. What is under way is not recalled."""
        return resending.in_portions(
            self._changing,
            wanted,
            lambda connection, found: resending.skip(connection, found, reason, now_us),
        )

    def emit(self, events: Sequence[NewEvent]) -> list[int | None]:
        """Append events; None for a type that no handler is subscribed to: it is not stored."""
        with self._changing() as connection:
            return [_emit(connection, event) for event in events]

    def close(self) -> None:
        """Give up the connection."""
        self._connection.close()


def _health(connection: sqlite3.Connection, row: HandlerRow) -> HandlerHealth:
    bound = {"i_handler": row.i_handler}
    breaker, since_us, reason, parked, lowest, first_parked = connection.execute(
        _SQL["health"], bound
    ).fetchone()
    waiting, first_waiting = connection.execute(
        _SQL["backlog"], {**bound, "lowest": lowest, "count_to": COUNT_TO}
    ).fetchone()
    oldest = min((n for n in (first_parked, first_waiting) if n is not None), default=None)
    failure = connection.execute(_SQL["last_failure"], bound).fetchone()
    return HandlerHealth(
        handler=row,
        backlog=waiting + parked,
        backlog_exact=waiting < COUNT_TO,
        parked=parked,
        breaker=breaker,
        breaker_since_us=since_us,
        breaker_reason=reason,
        oldest_us=None if oldest is None else _happened_us(connection, oldest),
        last_reason=None if failure is None else failure[0],
    )


def _happened_us(connection: sqlite3.Connection, i_event: int) -> int | None:
    row = connection.execute(_SQL["event_time"], {"i_event": i_event}).fetchone()
    if row is None:
        return None
    happened = datetime.strptime(row[0], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    return int(happened.timestamp()) * 1_000_000


def _emit(connection: sqlite3.Connection, event: NewEvent) -> int | None:
    if event.entity_id < 0:
        raise ConfigError(f"The key of {event.entity} must not be negative: {event.entity_id}.")
    gate = connection.execute(_SQL["gate_is_open"], {"event_type": event.event_type})
    if not gate.fetchone()[0]:
        return None
    row = connection.execute(
        _SQL["emit"],
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
