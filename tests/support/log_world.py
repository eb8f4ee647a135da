"""Random logs with handlers in every state, written straight into the tables.

What each event is to each handler is told here once more, by other means than the program's: rows
in memory, read one by one. Import it as `log_world`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import strategies as st

from espf.clock import utc_text
from espf.eventlog.model import StatusName
from espf.eventlog.operations import EventFilter
from storage_rig import Storage

TYPES = ("Account/Blocked", "Account/New", "Customer/New", "Customer/Status/Closed")
HANDLERS = ("alpha", "beta", "gamma")
LANES_USED = 3
BLOCK = 4096
NEWEST = 5 * BLOCK
DAY_US = 86_400_000_000
FIRST_US = 1_780_000_000_000_000
STATUSES: tuple[StatusName, ...] = (
    "queued", "in_progress", "retry", "finished", "failed", "skipped",
)  # fmt: skip
TABLES = (
    "event", "handler", "subscription", "lane_cursor", "parked", "handler_state", "attempt",
    "skip_request", "passed_by", "event_block", "event_block_count",
)  # fmt: skip


@dataclass(frozen=True)
class EventRow:
    i_event: int
    event_type: str
    entity_id: int
    day: int

    @property
    def entity(self) -> str:
        return self.event_type.partition("/")[0].lower()

    @property
    def event_time(self) -> str:
        return utc_text(FIRST_US + self.day * DAY_US)


@dataclass(frozen=True)
class AttemptMade:
    i_attempt: int
    i_handler: int
    i_event: int
    status: str
    at_us: int = FIRST_US


@dataclass(frozen=True)
class ParkedRow:
    i_handler: int
    i_event: int
    attempts: int
    in_progress: int


@dataclass(frozen=True)
class HandlerMade:
    i_handler: int
    name: str
    types: frozenset[str]
    positions: tuple[int, ...]
    """By lane; those that are not used are at 0."""
    replayed: int = 0
    passed: tuple[tuple[int, int], ...] = ()
    enabled: bool = True
    keep_events: bool = True

    @property
    def holds(self) -> bool:
        return self.enabled or self.keep_events


@dataclass
class LogWorld:
    events: list[EventRow]
    handlers: list[HandlerMade]
    attempts: list[AttemptMade] = field(default_factory=list)
    parked: list[ParkedRow] = field(default_factory=list)

    # ---- what holds ----

    def status(self, event: EventRow, handler: HandlerMade) -> str | None:
        """What the event is to the handler, None if it is nothing to it."""
        key = (handler.i_handler, event.i_event)
        for row in self.parked:
            if (row.i_handler, row.i_event) == key:
                if row.in_progress:
                    return "in_progress"
                return "retry" if row.attempts > 0 else "queued"
        wanted = event.event_type in handler.types
        ahead = event.i_event > handler.positions[event.entity_id % 64] and wanted
        statuses = [made.status for made in self.tried(event, handler)]
        if statuses and statuses[-1] != "retry":
            return statuses[-1]
        if ahead:
            return "retry" if statuses else "queued"
        passed = any(after < event.i_event <= upto for after, upto in handler.passed)
        return "skipped" if wanted and not statuses and passed else None

    def tried(self, event: EventRow, handler: HandlerMade) -> list[AttemptMade]:
        """Attempts that count, in their order."""
        wanted = event.event_type in handler.types
        ahead = event.i_event > handler.positions[event.entity_id % 64] and wanted
        return [
            made
            for made in sorted(self.attempts, key=lambda made: made.i_attempt)
            if (made.i_handler, made.i_event) == (handler.i_handler, event.i_event)
            and not (ahead and made.i_attempt <= handler.replayed)
        ]

    def pairs(self, wanted: EventFilter) -> list[tuple[int, str, str]]:
        """(i_event, handler, status) of everything that fits, oldest first."""
        return [
            (event.i_event, handler.name, status)
            for event in sorted(self.events, key=lambda event: event.i_event)
            for handler in sorted(self.handlers, key=lambda handler: handler.name)
            if (status := self.status(event, handler)) is not None
            and _fits(wanted, event, handler, status)
        ]

    # ---- into the tables ----

    def write(self, storage: Storage) -> None:
        """In place of whatever is there."""
        for table in TABLES:
            storage.execute(f"DELETE FROM {table}")
        storage.execute("DELETE FROM housekeeping_mark WHERE name <> 'blocks'")
        storage.execute("UPDATE housekeeping_mark SET value = 0")
        if storage.url.engine == "postgres":
            storage.execute(f"SELECT setval('event_i_event_seq', {NEWEST})")
            storage.execute("SELECT setval('attempt_i_attempt_seq', 1000)")
        _insert(storage, "event", [_event(event) for event in self.events])
        for handler in self.handlers:
            _write_handler(storage, handler)
        _insert(storage, "attempt", [_attempt(made) for made in self.attempts])
        by_number = {event.i_event: event for event in self.events}
        _insert(storage, "parked", [_parked(row, by_number[row.i_event]) for row in self.parked])


def _fits(wanted: EventFilter, event: EventRow, handler: HandlerMade, status: str) -> bool:
    return not (
        (wanted.i_events is not None and event.i_event not in wanted.i_events)
        or (wanted.handler is not None and handler.name != wanted.handler)
        or (wanted.event_types is not None and event.event_type not in wanted.event_types)
        or (wanted.entity is not None and event.entity != wanted.entity)
        or (wanted.entity_id is not None and event.entity_id != wanted.entity_id)
        or (wanted.statuses is not None and status not in wanted.statuses)
        or (wanted.since_us is not None and event.event_time < utc_text(wanted.since_us))
        or (wanted.until_us is not None and event.event_time > utc_text(wanted.until_us))
    )


# ---- rows ----


def _event(event: EventRow) -> dict[str, Any]:
    return {
        "i_event": event.i_event,
        "i_env": 1,
        "event_type": event.event_type,
        "entity": event.entity,
        "entity_id": event.entity_id,
        "lane": event.entity_id % 64,
        "event_time": event.event_time,
        "variables": "{}",
    }


def _attempt(made: AttemptMade) -> dict[str, Any]:
    outcomes = {"finished": "delivered", "failed": "rejected", "retry": "retry"}
    return {
        "i_attempt": made.i_attempt,
        "i_handler": made.i_handler,
        "i_event": made.i_event,
        "attempt": 1,
        "outcome": outcomes.get(made.status, "skipped"),
        "status": made.status,
        "started_us": made.at_us,
        "duration_us": 1,
        "request": "",
        "answer": "",
        "instance": "one",
    }


def _parked(row: ParkedRow, event: EventRow) -> dict[str, Any]:
    return {
        "i_handler": row.i_handler,
        "i_event": row.i_event,
        "entity": event.entity,
        "entity_id": event.entity_id,
        "lane": event.entity_id % 64,
        "attempts": row.attempts,
        "in_progress": row.in_progress,
        "due_us": FIRST_US,
        "parked_us": FIRST_US,
    }


def _write_handler(storage: Storage, handler: HandlerMade) -> None:
    i_handler = handler.i_handler
    row = {"i_handler": i_handler, "name": handler.name, "type": "Scripted", "options": "{}"}
    row |= {"subscriptions": "[]", "created_us": 0, "updated_us": 0}
    row |= {"enabled": int(handler.enabled), "keep_events": int(handler.keep_events)}
    _insert(storage, "handler", [row])
    _insert(storage, "handler_state", [{"i_handler": i_handler, "replayed": handler.replayed}])
    types = [{"i_handler": i_handler, "event_type": name} for name in sorted(handler.types)]
    _insert(storage, "subscription", types)
    lanes = [
        {"i_handler": i_handler, "lane": lane, "position": position}
        for lane, position in enumerate(handler.positions)
    ]
    _insert(storage, "lane_cursor", lanes)
    passed = [
        {"i_handler": i_handler, "after_event": after, "upto_event": upto, "events": 0}
        | {"at_us": 0, "reason": "was away"}
        for after, upto in handler.passed
    ]
    _insert(storage, "passed_by", passed)


def _insert(storage: Storage, table: str, rows: Sequence[dict[str, Any]]) -> None:
    if not rows:
        return
    values = ", ".join("(" + ", ".join(repr(value) for value in row.values()) + ")" for row in rows)
    storage.execute(f"INSERT INTO {table} ({', '.join(rows[0])}) VALUES {values}")


# ---- at random ----


@st.composite
def worlds(draw: st.DrawFn, most_events: int = 25) -> LogWorld:
    """Few events, far apart, so that some blocks are full of them and others are empty."""
    numbers = draw(st.lists(st.integers(1, NEWEST), min_size=1, max_size=most_events, unique=True))
    events = [
        EventRow(
            number,
            draw(st.sampled_from(TYPES)),
            draw(st.integers(0, LANES_USED - 1)),
            # Mostly in the order of the numbers; clocks jump now and then.
            draw(st.one_of(st.just(number // 1000), st.integers(0, 20))),
        )
        for number in numbers
    ]
    names = draw(st.lists(st.sampled_from(HANDLERS), min_size=1, max_size=3, unique=True))
    handlers = [draw(_handlers(key, name)) for key, name in enumerate(names, 1)]
    world = LogWorld(events, handlers)
    keys = [(handler.i_handler, event.i_event) for handler in handlers for event in events]
    made = draw(
        st.lists(
            st.tuples(
                st.sampled_from(keys), st.sampled_from(("finished", "failed", "retry", "skipped"))
            ),
            max_size=30,
        )
    )
    world.attempts = [
        AttemptMade(number, *key, status) for number, (key, status) in enumerate(made, 1)
    ]
    # A replay is never ahead of the attempts.
    world.handlers = [
        replace(handler, replayed=min(handler.replayed, len(made))) for handler in handlers
    ]
    parked = draw(st.lists(st.sampled_from(keys), max_size=8, unique=True))
    world.parked = [
        ParkedRow(*key, draw(st.integers(0, 2)), draw(st.integers(0, 1))) for key in parked
    ]
    return world


@st.composite
def _handlers(draw: st.DrawFn, i_handler: int, name: str) -> HandlerMade:
    edge = st.integers(0, NEWEST + 10)
    positions = draw(st.tuples(*[edge] * LANES_USED)) + (0,) * (64 - LANES_USED)
    passed = draw(st.lists(st.tuples(edge, edge), min_size=1, max_size=2))
    return HandlerMade(
        i_handler,
        name,
        frozenset(draw(st.sets(st.sampled_from(TYPES), min_size=draw(st.integers(0, 2))))),
        positions,
        draw(st.integers(0, 20)),
        tuple({(min(pair), max(pair)) for pair in passed}),
        draw(st.booleans()),
        draw(st.booleans()),
    )


@st.composite
def filters(draw: st.DrawFn, world: LogWorld) -> EventFilter:
    """One condition or several, that fit something more often than not."""
    one = st.sampled_from(("statuses", *_CONDITIONS, "times", "statuses"))
    chosen = draw(st.one_of(one.map(lambda name: {name}), st.sets(one, max_size=3)))
    wanted = EventFilter()
    for name in sorted(chosen):
        wanted = replace(wanted, **draw(_CONDITIONS[name](world)))
    return wanted


_CONDITIONS = {
    "i_events": lambda world: st.fixed_dictionaries(
        {"i_events": st.lists(st.sampled_from([e.i_event for e in world.events] + [7]))}
    ),
    "handler": lambda _: st.fixed_dictionaries({"handler": st.sampled_from(HANDLERS)}),
    "types": lambda _: st.fixed_dictionaries(
        {"event_types": st.lists(st.sampled_from(TYPES), min_size=1, unique=True)}
    ),
    "entity": lambda _: st.fixed_dictionaries(
        {"entity": st.sampled_from(("account", "customer"))},
        optional={"entity_id": st.integers(0, LANES_USED - 1)},
    ),
    "entity_id": lambda _: st.fixed_dictionaries({"entity_id": st.integers(0, LANES_USED - 1)}),
    "statuses": lambda _: st.fixed_dictionaries(
        {"statuses": st.permutations(STATUSES).flatmap(_beginnings)}
    ),
    "times": lambda _: (
        st.fixed_dictionaries({"until_us": _days()}, optional={"since_us": _days()})
        | st.fixed_dictionaries({"since_us": _days()})
    ),
}


def _beginnings(statuses: list[StatusName]) -> st.SearchStrategy[list[StatusName]]:
    return st.sampled_from((1, 2, 6)).map(lambda count: statuses[:count])


def _days() -> st.SearchStrategy[int]:
    return st.integers(0, 21).map(lambda day: FIRST_US + day * DAY_US)
