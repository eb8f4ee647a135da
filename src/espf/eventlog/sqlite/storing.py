"""Stores handlers, their subscriptions, cursors and the gate, in the caller's transaction."""

import difflib
import sqlite3

import orjson

from espf.errors import ConfigError
from espf.eventlog.model import LANES
from espf.eventlog.operations import HandlerChange
from espf.eventlog.statements import statements

_SQL = statements("sqlite")
DISABLED_REASON = "the handler was disabled and does not keep its events"


def store(connection: sqlite3.Connection, change: HandlerChange, now_us: int) -> None:
    """Add the handler, or change the one of that name."""
    bound = {
        "name": change.name,
        "type": change.type,
        "enabled": int(change.enabled),
        "keep_events": int(change.keep_events),
        "options": orjson.dumps(dict(change.options)).decode(),
        "subscriptions": orjson.dumps(list(change.subscriptions)).decode(),
        "now_us": now_us,
    }
    found = connection.execute(_SQL["handler_by_name"], bound).fetchone()
    if found is None:
        i_handler = connection.execute(_SQL["add_handler"], bound).fetchone()[0]
        _add_cursors(connection, i_handler, change.start)
    else:
        i_handler = found[0]
        connection.execute(_SQL["change_handler"], {**bound, "i_handler": i_handler})
        set_enabled(connection, change.name, change.enabled, now_us)
    connection.execute(_SQL["unsubscribe"], {"i_handler": i_handler})
    for event_type in sorted(change.event_types):
        connection.execute(_SQL["subscribe"], {"i_handler": i_handler, "event_type": event_type})


def _add_cursors(connection: sqlite3.Connection, i_handler: int, start: int | None) -> None:
    end = connection.execute(_SQL["horizon"]).fetchone()[0]
    position = end if start is None else max(0, min(end, start - 1))
    connection.execute(_SQL["add_state"], {"i_handler": i_handler})
    connection.executemany(
        _SQL["add_cursor"],
        [{"i_handler": i_handler, "lane": lane, "position": position} for lane in range(LANES)],
    )


def set_enabled(connection: sqlite3.Connection, name: str, enabled: bool, now_us: int) -> bool:
    """Enable or disable; False if it was so. Without keep_events it starts again at the end."""
    row = connection.execute(
        _SQL["set_enabled"], {"name": name, "wanted": int(enabled), "now_us": now_us}
    ).fetchone()
    if row is None:
        return False
    i_handler, keep_events = row
    if enabled and not keep_events:
        bound = {"i_handler": i_handler, "now_us": now_us, "reason": DISABLED_REASON}
        connection.execute(_SQL["skip_all_parked"], bound)
        connection.execute(_SQL["drop_all_parked"], bound)
        connection.execute(_SQL["jump_to_end"], bound)
    return True


def publish(connection: sqlite3.Connection) -> None:
    """Set the capture gate anew and have the engines read the handlers again."""
    connection.execute(_SQL["clear_gate"])
    connection.execute(_SQL["open_gate"])
    connection.execute(_SQL["bump_config_version"])


def require(connection: sqlite3.Connection, name: str) -> int:
    """Key of the handler of that name. Raises ConfigError with the nearest name otherwise."""
    row = connection.execute(_SQL["handler_by_name"], {"name": name}).fetchone()
    if row is not None:
        return int(row[0])
    names = [row[1] for row in connection.execute(_SQL["handlers"])]
    near = difflib.get_close_matches(name, names, 1)
    hint = f' Did you mean "{near[0]}"?' if near else " `espf handlers list` shows them."
    raise ConfigError(f'There is no handler named "{name}".{hint}')
