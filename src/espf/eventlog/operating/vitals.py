"""Reads how an installation is doing, in one snapshot and a few statements."""

from collections import Counter
from collections.abc import Iterable

from espf.eventlog.housekeeping.partitions import TABLES, partitions_of
from espf.eventlog.model import InstanceRow
from espf.eventlog.operating.session import Session
from espf.eventlog.operations import HandlerHealth
from espf.eventlog.vitals import HandlerVitals, InstanceVitals, OpenTransaction

_INSTANCE_FIELDS = len(InstanceRow._fields)


def handler_vitals(
    session: Session, health: Iterable[HandlerHealth], now_us: int
) -> tuple[HandlerVitals, ...]:
    """What is to be known of each of these handlers."""
    buckets = {row[0]: row[1:] for row in session.run("buckets")}
    due = dict(session.run("parked_due", {"now_us": now_us}).fetchall())
    lanes: dict[int, dict[str | None, int]] = {}
    for i_handler, owner, count in session.run("lane_owners"):
        lanes.setdefault(i_handler, {})[owner] = count
    return tuple(
        HandlerVitals(
            health=one,
            parked_due=due.get(one.handler.i_handler, 0),
            tokens=(bucket := buckets.get(one.handler.i_handler, (None, None)))[0],
            tokens_age_s=max(0, now_us - (bucket[1] or now_us)) / 1_000_000,
            lanes=lanes.get(one.handler.i_handler, {}),
        )
        for one in health
    )


def instance_vitals(session: Session) -> tuple[InstanceVitals, ...]:
    """Every instance on the list."""
    return tuple(
        InstanceVitals(InstanceRow._make(row[:_INSTANCE_FIELDS]), row[_INSTANCE_FIELDS])
        for row in session.run("instances")
    )


def partitions_ahead(session: Session, last_event: int) -> int | None:
    """Partitions of the table that has the fewest ready; None where there are none."""
    if session.dialect != "postgres":
        return None
    in_place, _ = partitions_of(session)
    ahead = Counter(one.table for one in in_place if one.numbers.low > last_event)
    return min(ahead[table] for table in TABLES)


def open_transaction(row: tuple[object, ...] | None) -> OpenTransaction | None:
    """A transaction from a row of the statement `oldest_writer`."""
    if row is None:
        return None
    key, pid, application, age_s = row
    return OpenTransaction(
        key=str(key),
        pid=None if pid is None else int(str(pid)),
        application=str(application or ""),
        age_s=None if age_s is None else max(0.0, float(str(age_s))),
    )
