"""`espf events`: search, details, repeating and skipping."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from espf.cli.naming import entity_key, event_types, moment, require_handler
from espf.cli.output import cell, fields, plain, print_json, say, table, when
from espf.cli.records import attempt_record, event_record, status_record
from espf.clock import SystemClock
from espf.errors import ConfigError
from espf.eventlog.model import StatusName
from espf.eventlog.operations import EventFilter

if TYPE_CHECKING:
    from espf.eventlog.operations import EventDetails, EventStatus, Operations

events_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Events: search, repeat, skip, follow, make."
)

Ids = Annotated[
    list[int] | None, typer.Argument(metavar="I_EVENT", help="Numbers.", min=1, max=2**63 - 1)
]
OfHandler = Annotated[str | None, typer.Option("--handler", help="Name of a handler.")]
Types = Annotated[
    list[str] | None, typer.Option("--type", help="Event type or pattern, such as Account/*.")
]
Entity = Annotated[str | None, typer.Option("--entity", help="Such as account:123.")]
Statuses = Annotated[
    list[str] | None, typer.Option("--status", help=f"One of {', '.join(get_args(StatusName))}.")
]
Since = Annotated[
    str | None, typer.Option("--since", help="UTC, 2026-11-23 or '2026-11-23 20:40'; or 10m ago.")
]
Until = Annotated[str | None, typer.Option("--until", help="The same.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only list what it would be.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print bare JSON.")]

_PAGE = 1000


@events_app.command("list")
def list_(
    *,
    handler: OfHandler = None,
    types: Types = None,
    entity: Entity = None,
    status: Statuses = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(help="Most lines.", min=1, max=100_000)] = 25,
    before: Annotated[
        int | None, typer.Option(help="Only events below this number.", min=1, max=2**63 - 1)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List events, newest first: one line for each handler that gets it."""
    from espf.app import open_operations
    from espf.config import load_config

    wanted = _filter(None, handler, types, entity, status, since, until)
    with open_operations(load_config()) as operations:
        require_handler(operations, handler)
        found = operations.events(wanted, limit, before)
    _print(found, as_json)


@events_app.command()
def show(
    i_event: Annotated[int, typer.Argument(help="Its number.", min=1, max=2**63 - 1)],
    *,
    as_json: AsJson = False,
) -> None:
    """Show an event with its variables and every attempt."""
    from espf.app import open_operations
    from espf.config import load_config

    with open_operations(load_config()) as operations:
        details = operations.details(i_event)
        names = {row.i_handler: row.name for row in operations.handlers()}
    if details is None:
        raise ConfigError(f"There is no event {i_event}.")
    if as_json:
        attempts = [attempt_record(one, names) for one in details.attempts]
        statuses = [status_record(one) for one in details.statuses]
        print_json(event_record(details.event) | {"handlers": statuses, "attempts": attempts})
        return
    _print_details(details, names)


@events_app.command()
def retry(
    ids: Ids = None,
    *,
    handler: OfHandler = None,
    types: Types = None,
    entity: Entity = None,
    status: Statuses = None,
    since: Since = None,
    until: Until = None,
    dry_run: DryRun = False,
) -> None:
    """Send failed events again, and waiting retries (--status retry) now.

    Without --status failed ones are meant. With numbers, finished and skipped ones are sent again,
    too. Repeats carry the same i_event.
    """
    wanted = _filter(ids, handler, types, entity, status, since, until)
    _require_aim(wanted, "retry")
    if wanted.i_events is None and wanted.statuses is None:
        wanted = _with_status(wanted, "failed")

    def change(operations: "Operations") -> str:
        count = operations.retry(wanted, SystemClock().now_us())
        return f"{count} to be sent again"

    _change(wanted, dry_run, change)


@events_app.command()
def skip(
    ids: Ids = None,
    *,
    handler: OfHandler = None,
    types: Types = None,
    entity: Entity = None,
    status: Statuses = None,
    since: Since = None,
    until: Until = None,
    reason: Annotated[str, typer.Option(help="Kept in the log.")] = "skipped by hand",
    dry_run: DryRun = False,
) -> None:
    """End waiting events as skipped; needs numbers or --handler. What is under way is sent."""
    if not ids and handler is None:
        raise typer.BadParameter("Name events by their numbers, or a handler with --handler.")
    if not reason.isprintable() or len(reason) > 1000:
        raise typer.BadParameter("--reason must be one line of at most 1000 characters.")
    wanted = _filter(ids, handler, types, entity, status, since, until)

    def change(operations: "Operations") -> str:
        count = operations.skip(wanted, reason, SystemClock().now_us())
        return f"{count} skipped"

    shown = wanted if wanted.statuses else _with_status(wanted, "queued", "retry")
    _change(shown if dry_run else wanted, dry_run, change)


# ---- the filter ----


def _filter(
    ids: list[int] | None,
    handler: str | None,
    types: list[str] | None,
    entity: str | None,
    status: list[str] | None,
    since: str | None,
    until: str | None,
) -> EventFilter:
    now_us = SystemClock().now_us()
    kind, key = entity_key(entity)
    return EventFilter(
        i_events=ids or None,
        handler=handler,
        event_types=event_types(types),
        entity=kind,
        entity_id=key,
        statuses=_statuses(status),
        since_us=moment(since, now_us),
        until_us=moment(until, now_us),
    )


def _statuses(given: list[str] | None) -> list[StatusName] | None:
    known = get_args(StatusName)
    for name in given or ():
        if name not in known:
            raise typer.BadParameter(f"{name[:40]!r} is no status; there are {', '.join(known)}.")
    return given or None  # type: ignore[return-value] # each is one of StatusName


def _with_status(wanted: EventFilter, *statuses: StatusName) -> EventFilter:
    from dataclasses import replace

    return replace(wanted, statuses=statuses)


def _require_aim(wanted: EventFilter, verb: str) -> None:
    if wanted == EventFilter():
        raise typer.BadParameter(
            f"Say what to {verb}: numbers, --handler, --type, --entity, --status, --since …"
        )


def _change(wanted: EventFilter, dry_run: bool, change: "Callable[[Operations], str]") -> None:
    from espf.app import open_operations
    from espf.config import load_config

    with open_operations(load_config()) as operations:
        require_handler(operations, wanted.handler)
        _require_events(operations, wanted)
        if not dry_run:
            say(change(operations))
            return
        found = operations.events(wanted, _PAGE)
    _print(found, as_json=False)
    more = " at least" if len(found) == _PAGE else ""
    say(f"{len(found)}{more}; nothing was changed: --dry-run.")


def _require_events(operations: "Operations", wanted: EventFilter) -> None:
    for i_event in wanted.i_events or ():
        if operations.details(i_event) is None:
            raise ConfigError(f"There is no event {i_event}.")


# ---- print ----


def _print(found: "list[EventStatus]", as_json: bool) -> None:
    records = [status_record(one) for one in found]
    if as_json:
        print_json(records)
        return
    heads = ("time", "i_event", "event", "entity", "handler", "status", "attempts", "next", "last")
    table(heads, [_line(one) for one in found])


def _line(one: "EventStatus") -> list[object]:
    event = one.event
    last = " ".join(str(part) for part in (one.code, one.reason) if part is not None)
    due = when(one.due_us) if one.status == "retry" else None
    entity = f"{event.entity}:{event.entity_id}"
    head = [event.event_time, event.i_event, event.event_type, entity]
    return [*head, one.handler, one.status, one.attempts, due, last]


def _print_details(details: "EventDetails", names: dict[int, str]) -> None:
    fields(event_record(details.event))
    say()
    _print(details.statuses, as_json=False)
    for attempt in details.attempts:
        record = attempt_record(attempt, names)
        say()
        code = f", {attempt.code}" if attempt.code is not None else ""
        took = f", {attempt.duration_us / 1000:.1f} ms" if attempt.attempt else ""
        say(
            f"{record['started']}  {plain(record['handler'])}  attempt {attempt.attempt}: "
            f"{attempt.outcome}{code}{took}"
        )
        for name in ("reason", "request", "answer"):
            if record[name]:
                say(f"  {name}: {cell(record[name], 5000)}")
