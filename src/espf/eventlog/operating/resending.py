"""Sends events again, or ends them as skipped, in portions so that no lock is held for long.

What fits is found in a snapshot; each change asks once more whether it still applies. A stop
between two portions, or in the middle of one, leaves a whole state.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from espf.eventlog.model import StatusName
from espf.eventlog.operating.search.finding import find
from espf.eventlog.operating.search.pairs import SETTLED
from espf.eventlog.operating.session import Session
from espf.eventlog.operating.storing import require
from espf.eventlog.operations import EventFilter, EventStatus, PairKey, Progress, Tally

PORTION = 500
WAITING: tuple[StatusName, ...] = ("queued", "retry")


def portions(session: Session, wanted: EventFilter, after: int = 0) -> Iterator[list[EventStatus]]:
    """Everything that fits, oldest first, so many pairs at a time."""
    edge: PairKey | int = after
    while True:
        with session.reading():
            if wanted.handler is not None:
                require(session, wanted.handler)
            found = find(session, wanted, PORTION, after=edge)
        if found:
            yield found
        if len(found) < PORTION:
            return
        edge = PairKey(found[-1].event.i_event, found[-1].handler)


def change_all(
    session: Session,
    found: Iterator[list[EventStatus]],
    change: Callable[[list[EventStatus]], int],
    progress: Progress | None,
) -> int:
    """Apply `change` to each portion in a transaction of its own; returns how many changed."""
    changed = 0
    for portion in found:
        with session.changing():
            session.run("lock_configuration")
            changed += change(portion)
            session.run("bump_config_version")
        if progress is not None:
            progress(changed, portion[-1].event.i_event)
    return changed


def count_all(
    found: Iterator[list[EventStatus]],
    counts: Callable[[list[EventStatus]], Sequence[EventStatus]],
    progress: Progress | None,
) -> Tally:
    """How many there are of those that `counts` picks, by status and type."""
    tally: Tally = Counter()
    for portion in found:
        tally.update((one.status, one.event.event_type) for one in counts(portion))
        if progress is not None:
            progress(tally.total(), portion[-1].event.i_event)
    return tally


def sent_again(found: Sequence[EventStatus], now_us: int) -> list[EventStatus]:
    """Those that `retry` changes."""
    return [one for one in found if one.status in SETTLED or _waits_longer(one, now_us)]


def _waits_longer(one: EventStatus, now_us: int) -> bool:
    return one.status == "retry" and one.due_us is not None and one.due_us > now_us


def retry(session: Session, found: Sequence[EventStatus], now_us: int) -> int:
    """Waiting retries become due now; settled events are parked anew and due at once."""
    wanted = sent_again(found, now_us)
    changed = 0
    again = [one for one in wanted if one.status in SETTLED]
    for (i_handler, attempts), numbers in _grouped(again, lambda one: one.attempts).items():
        bound = {"i_handler": i_handler, "handlers": [i_handler], "numbers": numbers}
        # A wish to skip them that came too late must not meet them now.
        session.run("remove_wishes", bound)
        changed += session.run(
            "send_again", {**bound, "attempts": attempts, "now_us": now_us}
        ).rowcount
    for i_handler, numbers in by_handler(again).items():
        entities = {one.event.entity_id for one in again if one.i_handler == i_handler}
        bound = {"i_handler": i_handler, "entity_ids": sorted(entities), "low": min(numbers)}
        session.run("queue_up", bound)
    for i_handler, numbers in by_handler(o for o in wanted if o.status not in SETTLED).items():
        bound = {"i_handler": i_handler, "numbers": numbers, "now_us": now_us}
        changed += session.run("due_now", bound).rowcount
    return changed


def skipped(session: Session, found: Sequence[EventStatus]) -> list[EventStatus]:
    """Those that `skip` changes: what waits, and is not to be skipped already."""
    wishes = _keys(session, "wishes_of", found)
    return [one for one in found if one.status in WAITING and _key(one) not in wishes]


def skip(session: Session, found: Sequence[EventStatus], reason: str, now_us: int) -> int:
    """Parked events leave at once; those in their lane are skipped when they are reached."""
    changed = 0
    for i_handler, numbers in by_handler(one for one in found if one.status in WAITING).items():
        parked = leave_parked(session, i_handler, numbers, now_us)
        bound = {"i_handler": i_handler, "reason": reason, "now_us": now_us, "status": "skipped"}
        session.run("record_end", {**bound, "numbers": parked})
        rest = sorted(set(numbers) - set(parked))
        changed += len(parked) + session.run("ask_skip", {**bound, "numbers": rest}).rowcount
    return changed


def leave_parked(
    session: Session, i_handler: int, numbers: Sequence[int], now_us: int
) -> list[int]:
    """Remove those that are parked and not under way; what waited behind them is due."""
    bound = {"i_handler": i_handler, "numbers": list(numbers), "now_us": now_us}
    session.run("lock_lanes", bound).fetchall()
    left = session.run("leave_parked", bound).fetchall()
    entities = sorted({entity_id for _, entity_id in left})
    if entities:
        session.run("activate_first", {**bound, "entity_ids": entities})
    return sorted(i_event for i_event, _ in left)


def by_handler(found: Iterable[EventStatus]) -> dict[int, list[int]]:
    """Numbers of the events, by handler."""
    return {i_handler: numbers for (i_handler, _), numbers in _grouped(found).items()}


def _grouped(
    found: Iterable[EventStatus], by: Callable[[EventStatus], int] = lambda _: 0
) -> dict[tuple[int, int], list[int]]:
    groups: dict[tuple[int, int], list[int]] = defaultdict(list)
    for one in found:
        groups[one.i_handler, by(one)].append(one.event.i_event)
    return groups


def _keys(session: Session, name: str, found: Sequence[EventStatus]) -> set[tuple[int, int]]:
    """(i_handler, i_event) of those that have a row in a table of pairs."""
    if not found:
        return set()
    bound = {
        "handlers": sorted({one.i_handler for one in found}),
        "numbers": sorted({one.event.i_event for one in found}),
    }
    return {(row[0], row[1]) for row in session.run(name, bound)}


def _key(one: EventStatus) -> tuple[int, int]:
    return one.i_handler, one.event.i_event


def sendable(wanted: EventFilter) -> EventFilter:
    """The filter for `retry`: without ids and statuses it means failed events only."""
    if wanted.i_events is None and wanted.statuses is None:
        return replace(wanted, statuses=("failed",))
    return wanted


def skippable(wanted: EventFilter) -> EventFilter:
    """The filter for `skip`: only what waits can be."""
    given = WAITING if wanted.statuses is None else wanted.statuses
    return replace(wanted, statuses=[status for status in WAITING if status in given])
