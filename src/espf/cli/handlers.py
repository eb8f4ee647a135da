"""`espf handlers`: how each is doing, and switching them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from espf.cli.output import fields, print_json, say, table, when
from espf.clock import SystemClock

if TYPE_CHECKING:
    from espf.eventlog.model import HandlerRow
    from espf.eventlog.operations import HandlerHealth, Operations, PassedBy

handlers_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="How handlers are doing; switching them."
)

Names = Annotated[list[str], typer.Argument(metavar="NAME", help="Names of handlers.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print a bare array.")]


@handlers_app.command("list")
def list_(*, as_json: AsJson = False) -> None:
    """List the handlers with what waits for them."""
    from espf.app import open_operations
    from espf.config import load_config

    with open_operations(load_config()) as operations:
        found = operations.health()
    if as_json:
        print_json([_health(one) for one in found])
        return
    records = [_health(one) | {"backlog": one.backlog_shown} for one in found]
    heads = ("name", "type", "enabled", "paused", "breaker", "backlog", "parked", "last_reason")
    table(heads, [[record[head] for head in heads] for record in records])


@handlers_app.command()
def show(
    name: Annotated[str, typer.Argument(help="Name of the handler.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the bare record.")] = False,
) -> None:
    """Show a handler with all its options; of a secret only that it is set."""
    from espf.app import open_operations
    from espf.cli.naming import require_handler
    from espf.config import load_config

    with open_operations(load_config()) as operations:
        require_handler(operations, name)
        health = next(one for one in operations.health() if one.handler.name == name)
        passed = operations.passed_by(name)
    row, record = health.handler, _health(health) | {"while_disabled": _rule(health.handler)}
    options = effective_options(row)
    if as_json:
        lists = {
            "subscriptions": list(row.subscriptions),
            "event_types": sorted(row.event_types),
        }
        ranges = [_passed(one) for one in passed]
        print_json(record | lists | {"passed_by": ranges, "options": options})
        return
    fields(record | {"subscriptions": ", ".join(row.subscriptions)})
    if passed:
        say()
        say("passed by, and shown as skipped:")
        table(_PASSED, [list(_passed(one).values()) for one in passed])
    say()
    heads = ("option", "value", "")
    table(heads, [(k, v, "" if k in row.options else "default") for k, v in options.items()])


@handlers_app.command()
def enable(names: Names) -> None:
    """Enable handlers; those that do not keep events start at the log's end.

    What they pass by is counted, shown as skipped, and can be sent by `espf handlers replay`.
    """
    _switch(names, "enabled", "enabled already", lambda on, name: on.set_enabled(name, True))


@handlers_app.command()
def disable(names: Names) -> None:
    """Disable handlers; with keep_events what waits and what happens meanwhile waits for them.

    Without, they pass it by when they are enabled again.
    """
    _switch(names, "disabled", "disabled already", lambda on, name: on.set_enabled(name, False))


@handlers_app.command()
def pause(names: Names) -> None:
    """Stop sending; events wait, and the time does not count towards giving up."""
    _switch(names, "paused", "paused already", lambda on, name: on.set_paused(name, True))


@handlers_app.command()
def resume(names: Names) -> None:
    """Send again after a pause."""
    _switch(names, "resumed", "not paused", lambda on, name: on.set_paused(name, False))


@handlers_app.command()
def replay(
    name: Annotated[str, typer.Argument(help="Name of the handler.")],
    *,
    since: Annotated[
        str | None, typer.Option("--since", help="A time in UTC, or 10m, 2h, 3d ago.")
    ] = None,
    first: Annotated[
        int | None, typer.Option("--from", help="Number of the first event.", min=1, max=2**63 - 1)
    ] = None,
    types: Annotated[
        list[str] | None, typer.Option("--type", help="Only these types, or patterns.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only count what it would be.")
    ] = False,
) -> None:
    """Send again all that the handler is subscribed to since then, in order, finished or not.

    The handler is set back in one step. With --type only settled events of those types are sent
    again; they are parked, in portions. Repeats carry the same i_event.
    """
    from espf.cli.naming import event_types, moment
    from espf.cli.replaying import replay_all, replay_types

    if (since is None) == (first is None):
        raise typer.BadParameter("Say since when: either --since TIME or --from I_EVENT.")
    since_us = moment(since, SystemClock().now_us())
    if types:
        replay_types(name, event_types(types) or [], first, since_us, dry_run=dry_run)
    else:
        replay_all(name, first, since_us, dry_run=dry_run)


def effective_options(row: "HandlerRow") -> dict[str, Any]:
    """All options of a handler, defaults included; a secret is "set" or None."""
    from espf.errors import ConfigError, HandlerError
    from espf.handlers.options import describe
    from espf.handlers.sealing import shown_options
    from espf.handlers.types import handler_type

    stored = shown_options(row.options)
    try:
        known = describe(handler_type(row.type).settings)
    except (ConfigError, HandlerError):  # its package is not installed here: show what is stored
        return stored
    secrets = {option.name for option in known if option.secret}
    safe = {name: "set" if name in secrets else value for name, value in stored.items()}
    return {option.name: safe.get(option.name, option.default) for option in known} | safe


def _switch(
    names: list[str], done: str, already: str, change: "Callable[[Operations, str], bool]"
) -> None:
    from espf.app import open_operations
    from espf.cli.naming import require_handler
    from espf.config import load_config

    with open_operations(load_config()) as operations:
        for name in names:  # all of them before the first change
            require_handler(operations, name)
        for name in names:
            before = operations.passed_by(name)
            say(f"{name}: {done if change(operations, name) else already}")
            for one in operations.passed_by(name)[len(before) :]:
                say(passed_text(name, one))


def passed_text(name: str, one: "PassedBy") -> str:
    """What a handler passed by just now, and how to send it all the same."""
    return (
        f"  It passed by {one.events} events ({one.after + 1} to {one.upto}): {one.reason}. They "
        f"are shown as skipped; `espf handlers replay {name} --from {one.after + 1}` sends them."
    )


_PASSED = ("first", "last", "events", "at", "reason")


def _passed(one: "PassedBy") -> dict[str, object]:
    values = (one.after + 1, one.upto, one.events, when(one.at_us), one.reason)
    return dict(zip(_PASSED, values, strict=True))


def _rule(row: "HandlerRow") -> str:
    """What becomes of its events while the handler is disabled."""
    if row.keep_events:
        return "events wait for it (keep_events)"
    return "events pass it by: enabled again, it starts at the log's end"


def _health(one: "HandlerHealth") -> dict[str, object]:
    row = one.handler
    return {
        "i_handler": row.i_handler,
        "name": row.name,
        "type": row.type,
        "enabled": row.enabled,
        "paused": row.paused,
        "keep_events": row.keep_events,
        "breaker": one.breaker,
        "breaker_since": when(one.breaker_since_us),
        "breaker_reason": one.breaker_reason,
        "backlog": one.backlog,
        "backlog_exact": one.backlog_exact,
        "parked": one.parked,
        "oldest": when(one.oldest_us),
        "last_reason": one.last_reason,
    }
