"""How far back the log reaches, for people."""

from dataclasses import dataclass

from espf.eventlog.housekeeping.dropping import Dropping
from espf.eventlog.housekeeping.model import Retention
from espf.eventlog.housekeeping.partitions import partitions_of
from espf.eventlog.model import StatusName
from espf.eventlog.operating.search.pairs import SETTLED, read_events
from espf.eventlog.operating.session import Session


@dataclass(frozen=True, slots=True)
class LogStanding:
    """The log's ends, and what housekeeping makes of it."""

    days: dict[StatusName, int]
    max_backlog_days: int
    oldest: int | None
    oldest_time: str | None
    newest: int | None
    blocks: int
    """Of 4,096 numbers each, that search can skip."""
    partitions: int
    """Of events; 0 on SQLite."""
    partitions_over: int
    """Of these, that may be dropped."""


def standing_of(session: Session, retention: Retention, now_us: int) -> LogStanding:
    """Everything in one snapshot."""
    with session.reading():
        oldest, newest = session.run("ends_of_log").fetchone()
        first = read_events(session, [] if oldest is None else [oldest])
        in_place, _ = partitions_of(session)
        return LogStanding(
            days={status: retention.days(status) for status in SETTLED},
            max_backlog_days=retention.max_backlog_days,
            oldest=oldest,
            oldest_time=first[0].event_time if first else None,
            newest=newest,
            blocks=session.run("blocks_done").fetchone()[0],
            partitions=sum(one.table == "event" for one in in_place),
            partitions_over=len(Dropping(session, retention, now_us).over()),
        )
