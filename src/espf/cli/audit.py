"""`espf handlers audit`: compares the registry with the system of a handler."""

import asyncio
import csv
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from espf.cli.output import plain, print_json, say, table, warn

if TYPE_CHECKING:
    from espf.config import Config
    from espf.eventlog.model import HandlerRow
    from espf.handlers.contract.audit import Report

SHOWN = 20
_COLUMNS = ("verdict", "i_account", "identity", "details")


def audit(
    name: Annotated[str, typer.Argument(help="Name of the handler.")],
    *,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", help="Write every finding to this file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print counts and findings.")] = False,
) -> None:
    """Compare the registry with the system of a handler; changes nothing.

    missing: it should be there and is not; extra: it is there and should not be; different; unfit:
    the registry's data do not suffice; unread: the system gave no answer. Exit status 1 if there is
    any.
    """
    from espf.app import open_operations
    from espf.cli.naming import require_handler
    from espf.config import load_config

    config = load_config()
    with open_operations(config) as operations:
        require_handler(operations, name)
        health = next(one for one in operations.health() if one.handler.name == name)
    report = asyncio.run(_audit(config, health.handler))
    if csv_file is not None:
        _write(csv_file, report)
    if as_json:
        counts = {str(verdict): count for verdict, count in report.counts.items()}
        print_json({"counts": counts, "findings": [one._asdict() for one in report.findings]})
    else:
        _show(report, csv_file)
    if report.findings and health.backlog:
        warn(
            f"{health.backlog_shown} events wait for {name}: they may be about to mend some of it."
        )
    if report.findings:
        raise typer.Exit(1)


async def _audit(config: "Config", row: "HandlerRow") -> "Report":
    from espf.cli.progress import subscriber_progress
    from espf.handlers.contract.audit import Audit
    from espf.starting import open_provisioning

    async with open_provisioning(config, row) as opened:
        total = await opened.current.subscribers.count()
        with subscriber_progress(f"audit {row.name}", total) as moved:
            looker = opened.provisioner.looker
            return await Audit(looker, opened.settings.in_flight).run(lambda done: moved(done, 0))


def _show(report: "Report", csv_file: Path | None) -> None:
    from espf.handlers.contract.audit import FINDINGS

    counts = [(verdict, report.counts[verdict]) for verdict in ("right", *FINDINGS)]
    say(", ".join(f"{count} {verdict}" for verdict, count in counts))
    if not report.listed:
        say("The system cannot be listed: extra ones that no account names were not looked for.")
    if not report.findings:
        return
    say()
    table(_COLUMNS, report.findings[:SHOWN])
    if len(report.findings) > SHOWN and csv_file is None:
        say(f"… and {len(report.findings) - SHOWN} more; --csv FILE writes them all.")


def _write(path: Path, report: "Report") -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        writer.writerows([plain(cell) for cell in finding] for finding in report.findings)
