"""`espf retention`: what is over its days, and removing it by hand."""

import time
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from espf.cli.output import fields, print_json, say, table
from espf.clock import SystemClock

if TYPE_CHECKING:
    from espf.eventlog.housekeeping.model import Report

retention_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="How long events are kept, and what is over."
)
TURN_S = 30.0
"""How long to wait for an engine that is keeping house at this moment."""


@retention_app.command()
def show(
    *, as_json: Annotated[bool, typer.Option("--json", help="Print the bare record.")] = False
) -> None:
    """Show how long things are kept, how far back the log reaches, and how large it is."""
    from espf.app import retention_of
    from espf.config import load_config
    from espf.eventlog.engines import open_session
    from espf.eventlog.housekeeping.standing import standing_of

    config = load_config()
    session = open_session(config.database)
    try:
        standing = standing_of(session, retention_of(config), SystemClock().now_us())
    finally:
        session.close()
    record = {
        **{f"{status}_days": days for status, days in standing.days.items()},
        "max_backlog_days": standing.max_backlog_days,
        "oldest_event": standing.oldest,
        "oldest_time": standing.oldest_time,
        "newest_event": standing.newest,
        "blocks": standing.blocks,
        "partitions": standing.partitions,
        "partitions_over": standing.partitions_over,
    }
    if as_json:
        print_json(record)
    else:
        fields(record)


@retention_app.command()
def run(
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only count what would go, and what would fail.")
    ] = False,
) -> None:
    """Remove what is over its days now; an engine does the same by itself, little by little.

    Nothing goes that a handler waits for. What waits for longer than
    ESPF_RETENTION_MAX_BACKLOG_DAYS ends failed first.
    """
    if dry_run:
        _count()
    else:
        _remove()


def _remove() -> None:
    from espf.app import retention_of
    from espf.config import load_config
    from espf.eventlog.engines import open_session
    from espf.eventlog.housekeeping.keeping import keep_house
    from espf.eventlog.housekeeping.model import Report

    config = load_config()
    whole, waits_until_s = Report(), time.monotonic() + TURN_S
    session = open_session(config.database)
    try:
        while whole.more or time.monotonic() < waits_until_s:
            report = keep_house(session, retention_of(config), SystemClock().now_us())
            if report is None:
                time.sleep(0.2)
                continue
            whole.add(report)
            if not report.more:
                break
    except KeyboardInterrupt:
        say("Stopped between two steps; run it again to go on.")
        raise typer.Exit(1) from None
    finally:
        session.close()
    _tell(whole)


def _tell(report: "Report") -> None:
    for handler, count in report.expired.items():
        say(f"{handler}: {count} events had waited too long and ended failed.")
    if report.partitions_dropped:
        say(f"{report.partitions_dropped} partitions dropped.")
    say(f"{report.events} events and {report.attempts} attempts removed.")


def _count() -> None:
    from espf.app import retention_of
    from espf.config import load_config
    from espf.eventlog.engines import open_session
    from espf.eventlog.housekeeping.expiring import Expiry
    from espf.eventlog.housekeeping.sweeping import Sweep

    config = load_config()
    retention, now_us = retention_of(config), SystemClock().now_us()
    session = open_session(config.database)
    counts: Counter[str] = Counter()
    try:
        expired = Expiry(session, retention, now_us).would_expire()
        for portion in Sweep(session, retention, now_us).would_remove():
            counts += portion
    finally:
        session.close()
    events = counts.pop("events", 0)
    if counts:
        table(("status", "count"), sorted(counts.items()))
    for handler, count in expired.items():
        say(f"{handler}: {count} events have waited too long and would end failed.")
    say(f"{events} events; nothing was changed: --dry-run.")
