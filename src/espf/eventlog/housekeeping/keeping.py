"""Keeps house: the one call that an engine makes every few seconds, or an operator by hand."""

import time

import structlog

from espf.eventlog.housekeeping.blocks import note_blocks
from espf.eventlog.housekeeping.dropping import Dropping
from espf.eventlog.housekeeping.expiring import Expiry
from espf.eventlog.housekeeping.model import Report, Retention
from espf.eventlog.housekeeping.pace import Pace
from espf.eventlog.housekeeping.partitions import ensure_partitions
from espf.eventlog.housekeeping.sweeping import Sweep
from espf.eventlog.operating.search.blocks import BLOCK
from espf.eventlog.operating.session import Session

BUDGET_S = 1.0

_log = structlog.get_logger("espf.retention")


def keep_house(
    session: Session, retention: Retention, now_us: int, *, budget_s: float = BUDGET_S
) -> Report | None:
    """Do a part of what there is to do, for about `budget_s`; None if another one is at it.

    Call it again and again, at once when the report says that there is more. Every transaction is
    short, and no lock is waited for: what cannot be done now is done by a later call. Raises
    StorageError.
    """
    if not session.run("try_housekeeping").fetchone()[0]:
        return None
    try:
        report = _keep(session, retention, now_us, Pace(budget_s))
    finally:
        session.run("end_housekeeping")
    for handler, count in report.expired.items():
        _log.error(
            "retention.expired", handler=handler, events=count, days=retention.max_backlog_days
        )
    return report


def _keep(session: Session, retention: Retention, now_us: int, pace: Pace) -> Report:
    report = Report(partitions_made=ensure_partitions(session))
    _note_blocks(session, pace, report)
    if not pace.over:
        Expiry(session, retention, now_us).run(pace, report)
    dropping = Dropping(session, retention, now_us)
    if not pace.over:
        dropping.run(pace, report)
    if not pace.over:
        Sweep(session, retention, now_us, dropping.going()).run(pace, report)
    report.expired = +report.expired
    report.more = pace.over
    return report


def _note_blocks(session: Session, pace: Pace, report: Report) -> None:
    done = session.run("blocks_done").fetchone()[0]
    if session.run("last_drawn").fetchone()[0] + 1 < (done + 1) * BLOCK:
        return  # none is complete: no need to ask how far the log is whole
    end = session.end_of_log()
    while not pace.over:
        began = time.monotonic()
        noted = note_blocks(session, end)
        if not noted:
            break
        report.blocks += noted
        pace.took(time.monotonic() - began)
