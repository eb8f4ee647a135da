"""`espf handlers`: how each is doing, and switching them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from espf.cli.output import fields, print_json, say, table, when

if TYPE_CHECKING:
    from espf.eventlog.model import HandlerRow
    from espf.eventlog.operations import HandlerHealth, Operations

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
    row, record = health.handler, _health(health)
    options = effective_options(row)
    if as_json:
        lists = {
            "subscriptions": list(row.subscriptions),
            "event_types": sorted(row.event_types),
        }
        print_json(record | lists | {"options": options})
        return
    fields(record | {"subscriptions": ", ".join(row.subscriptions)})
    say()
    heads = ("option", "value", "")
    table(heads, [(k, v, "" if k in row.options else "default") for k, v in options.items()])


@handlers_app.command()
def enable(names: Names) -> None:
    """Enable handlers; those that do not keep events start at the log's end."""
    _switch(names, "enabled", "enabled already", lambda on, name: on.set_enabled(name, True))


@handlers_app.command()
def disable(names: Names) -> None:
    """Disable handlers; with keep_events what happens meanwhile waits for them."""
    _switch(names, "disabled", "disabled already", lambda on, name: on.set_enabled(name, False))


@handlers_app.command()
def pause(names: Names) -> None:
    """Stop sending; events wait, and the time does not count towards giving up."""
    _switch(names, "paused", "paused already", lambda on, name: on.set_paused(name, True))


@handlers_app.command()
def resume(names: Names) -> None:
    """Send again after a pause."""
    _switch(names, "resumed", "not paused", lambda on, name: on.set_paused(name, False))


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
            say(f"{name}: {done if change(operations, name) else already}")


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
