"""Stores handlers, their subscriptions, cursors and the gate, in the caller's transaction."""

import difflib

import orjson

from espf.errors import ConfigError
from espf.eventlog.model import ALL_LANES
from espf.eventlog.operating.health import waiting_in_lanes
from espf.eventlog.operating.search.views import views_of
from espf.eventlog.operating.session import Session
from espf.eventlog.operations import HandlerChange

DISABLED_REASON = "the handler was disabled and does not keep its events"


def store(session: Session, change: HandlerChange, now_us: int, end: int) -> None:
    """Add the handler, or change the one of that name. `end` is the log's end."""
    bound = {
        "name": change.name,
        "type": change.type,
        "enabled": int(change.enabled),
        "keep_events": int(change.keep_events),
        "options": orjson.dumps(dict(change.options)).decode(),
        "subscriptions": orjson.dumps(list(change.subscriptions)).decode(),
        "now_us": now_us,
    }
    found = session.run("handler_by_name", bound).fetchone()
    if found is None:
        i_handler = session.run("add_handler", bound).fetchone()[0]
        _add_cursors(session, i_handler, change.start, end)
    else:
        i_handler = found[0]
        session.run("change_handler", {**bound, "i_handler": i_handler})
        set_enabled(session, change.name, change.enabled, now_us, end)
    session.run("unsubscribe", {"i_handler": i_handler})
    for event_type in sorted(change.event_types):
        session.run("subscribe", {"i_handler": i_handler, "event_type": event_type})


def _add_cursors(session: Session, i_handler: int, start: int | None, end: int) -> None:
    position = end if start is None else max(0, min(end, start - 1))
    session.run("add_state", {"i_handler": i_handler})
    for lane in range(ALL_LANES):
        session.run("add_cursor", {"i_handler": i_handler, "lane": lane, "position": position})


def set_enabled(session: Session, name: str, enabled: bool, now_us: int, end: int) -> bool:
    """Enable or disable; False if it was so. Without keep_events it starts again at the end."""
    bound = {"name": name, "wanted": int(enabled), "now_us": now_us}
    row = session.run("set_enabled", bound).fetchone()
    if row is None:
        return False
    i_handler, keep_events = row
    if enabled and not keep_events:
        jump_to_end(session, name, i_handler, now_us, end)
    return True


def jump_to_end(session: Session, name: str, i_handler: int, now_us: int, end: int) -> None:
    """Pass by everything that is there, and note what that was; what was parked ends skipped."""
    (view,) = views_of(session, [name])
    waiting, _ = waiting_in_lanes(session, view)
    bound = {"i_handler": i_handler, "now_us": now_us, "reason": DISABLED_REASON, "end": end}
    if waiting and view.lowest < end:
        session.run("pass_by", {**bound, "after": view.lowest, "upto": end, "events": waiting})
    session.run("skip_all_parked", bound)
    session.run("drop_all_parked", bound)
    session.run("jump_to_end", bound)


def publish(session: Session) -> None:
    """Set the capture gate anew and have the engines read the handlers again."""
    session.run("clear_gate")
    session.run("open_gate")
    session.run("bump_config_version")


def require(session: Session, name: str) -> int:
    """Key of the handler of that name. Raises ConfigError with the nearest name otherwise."""
    row = session.run("handler_by_name", {"name": name}).fetchone()
    if row is not None:
        return int(row[0])
    names = [row[1] for row in session.run("handlers")]
    near = difflib.get_close_matches(name, names, 1)
    hint = f' Did you mean "{near[0]}"?' if near else " `espf handlers list` shows them."
    raise ConfigError(f'There is no handler named "{name}".{hint}')
