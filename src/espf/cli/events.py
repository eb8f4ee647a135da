"""`espf events`: search, details, repeating and skipping."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from espf.cli.naming import entity_key, event_types, moment, require_handler
from espf.cli.output import cell, fields, note, plain, print_json, say, table, when
from espf.cli.records import attempt_record, event_record, status_record
from espf.clock import SystemClock
from espf.errors import ConfigError
from espf.eventlog.model import StatusName
from espf.eventlog.operations import EventFilter

if TYPE_CHECKING:
    from espf.eventlog.operations import (
        EventDetails,
        EventStatus,
        Operations,
        PairKey,
        Progress,
        Tally,
    )

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
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only count what it would be.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print bare JSON.")]


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
        str | None,
        typer.Option(
            metavar="I_EVENT[:HANDLER]",
            help="Only events below this number; with a handler, what is behind that line.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List events, newest first: one line for each handler that gets it."""
    from espf.app import open_operations
    from espf.config import load_config

    wanted = _filter(None, handler, types, entity, status, since, until)
    with open_operations(load_config()) as operations:
        require_handler(operations, handler)
        found = operations.events(wanted, limit, _edge(before))
    _print(found, as_json)
    if len(found) == limit and not as_json:
        last = found[-1]
        note(f"There may be more: --before {last.event.i_event}:{last.handler}")


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
    now_us = SystemClock().now_us()
    if dry_run:
        _count(wanted, lambda on, moved: on.would_retry(wanted, now_us, moved))
    else:
        _change(wanted, "{} to be sent again", lambda on, moved: on.retry(wanted, now_us, moved))


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
    now_us = SystemClock().now_us()
    if dry_run:
        _count(wanted, lambda on, moved: on.would_skip(wanted, moved))
    else:
        _change(wanted, "{} skipped", lambda on, moved: on.skip(wanted, reason, now_us, moved))


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


def _edge(text: str | None) -> "PairKey | int | None":
    from espf.eventlog.operations import PairKey

    if text is None:
        return None
    number, mark, handler = text.partition(":")
    if not (number.isascii() and number.isdigit() and 0 < int(number) < 2**63):
        raise typer.BadParameter(f"{text[:40]!r} is no place; write 7615 or 7615:hss.")
    return PairKey(int(number), handler) if mark else int(number)


def _statuses(given: list[str] | None) -> list[StatusName] | None:
    known = get_args(StatusName)
    for name in given or ():
        if name not in known:
            raise typer.BadParameter(f"{name[:40]!r} is no status; there are {', '.join(known)}.")
    return given or None  # type: ignore[return-value] # each is one of StatusName


def _require_aim(wanted: EventFilter, verb: str) -> None:
    if wanted == EventFilter():
        raise typer.BadParameter(
            f"Say what to {verb}: numbers, --handler, --type, --entity, --status, --since …"
        )


def _change(
    wanted: EventFilter, done: str, change: "Callable[[Operations, Progress], int]"
) -> None:
    """Change everything that fits; `done` says how many it were. Ctrl-C stops between portions."""
    from espf.app import open_operations
    from espf.cli.progress import portions_progress
    from espf.cli.stopping import stops_between_portions
    from espf.config import load_config

    so_far = 0
    with open_operations(load_config()) as operations:
        _require_known(operations, wanted)
        try:
            with (
                portions_progress(operations.newest_event()) as moved,
                stops_between_portions() as check_stop,
            ):

                def count_on(changed: int, i_event: int) -> None:
                    nonlocal so_far
                    so_far = changed
                    moved(changed, i_event)
                    check_stop()

                count = change(operations, count_on)
        except KeyboardInterrupt:
            say(f"Stopped: {done.format(so_far)}. The rest is as it was; run it again to go on.")
            raise typer.Exit(1) from None
    say(done.format(count))


def _count(wanted: EventFilter, count: "Callable[[Operations, Progress], Tally]") -> None:
    """Say what would be changed, by status and type."""
    from espf.app import open_operations
    from espf.cli.progress import portions_progress
    from espf.config import load_config

    with open_operations(load_config()) as operations:
        _require_known(operations, wanted)
        with portions_progress(operations.newest_event()) as moved:
            tally = count(operations, moved)
    if tally:
        rows = sorted((status, name, number) for (status, name), number in tally.items())
        table(("status", "event", "count"), rows)
    say(f"{tally.total()}; nothing was changed: --dry-run.")


def _require_known(operations: "Operations", wanted: EventFilter) -> None:
    require_handler(operations, wanted.handler)
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
