"""Sends events again, or ends them as skipped, in portions so that no lock is held for long.

What fits is found in a snapshot; each change asks once more whether it still applies. A stop
between two portions, or in the middle of one, leaves a whole state.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

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
    bounds = [{**_bound(one), "now_us": now_us, "attempts": one.attempts} for one in wanted]
    settled = [b for b, one in zip(bounds, wanted, strict=True) if one.status in SETTLED]
    waiting = [b for b, one in zip(bounds, wanted, strict=True) if one.status not in SETTLED]
    # A wish to skip it that came too late must not meet it now.
    session.run_many("skip_done", settled)
    return session.run_many("send_again", settled) + session.run_many("due_now", waiting)


def skipped(session: Session, found: Sequence[EventStatus]) -> list[EventStatus]:
    """Those that `skip` changes: what waits, and is not to be skipped already."""
    wishes = _keys(session, "wishes_of", found)
    return [one for one in found if one.status in WAITING and _key(one) not in wishes]


def skip(session: Session, found: Sequence[EventStatus], reason: str, now_us: int) -> int:
    """Parked events leave at once; those in their lane are skipped when they are reached."""
    wanted = [one for one in found if one.status in WAITING]
    parked = _keys(session, "parked_of", wanted)
    bounds = [{**_bound(one), "reason": reason, "now_us": now_us} for one in wanted]
    changed = 0
    for bound in bounds:
        if (bound["i_handler"], bound["i_event"]) not in parked:
            continue
        if session.run("skip_parked", bound).rowcount:
            session.run("record_skip", bound)
            session.run("activate_next", bound)
            changed += 1
    in_lanes = [b for b in bounds if (b["i_handler"], b["i_event"]) not in parked]
    return changed + session.run_many("ask_skip", in_lanes)


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


def _bound(one: EventStatus) -> dict[str, Any]:
    return {
        "i_handler": one.i_handler,
        "i_event": one.event.i_event,
        "entity": one.event.entity,
        "entity_id": one.event.entity_id,
    }


def sendable(wanted: EventFilter) -> EventFilter:
    """The filter for `retry`: without ids and statuses it means failed events only."""
    if wanted.i_events is None and wanted.statuses is None:
        return replace(wanted, statuses=("failed",))
    return wanted


def skippable(wanted: EventFilter) -> EventFilter:
    """The filter for `skip`: only what waits can be."""
    given = WAITING if wanted.statuses is None else wanted.statuses
    return replace(wanted, statuses=[status for status in WAITING if status in given])
