"""What applying a file would change, in words, and the changes themselves.

Secrets are compared in clear and never printed: only whether they are set or changed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from espf.errors import StorageError
from espf.eventlog.model import HandlerRow
from espf.eventlog.operations import HandlerChange
from espf.events.catalogue import shown
from espf.handlers.configuration import Wanted, WantedHandler
from espf.handlers.sealing import Box, is_sealed, seal, unsealed


@dataclass(slots=True)
class Differences:
    """What is to be done, and its description."""

    changes: list[HandlerChange] = field(default_factory=list)
    provisioning: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.changes or self.provisioning)


def differences(
    wanted: Wanted, stored: Sequence[HandlerRow], provisioning: Mapping[str, str], box: Box
) -> Differences:
    """Compare a file with what is stored. Handlers that it does not name stay as they are."""
    found = Differences()
    rows = {row.name: row for row in stored}
    for handler in wanted.handlers:
        _compare(handler, rows.get(handler.name), box, found)
    for name, value in wanted.provisioning.items():
        before = provisioning.get(name)
        if before != value:
            found.provisioning[name] = value
            found.lines.append(f"provisioning: {_moved(name, before, value)}")
    return found


def _compare(handler: WantedHandler, row: HandlerRow | None, box: Box, found: Differences) -> None:
    options, lines = _options(handler, row.options if row else {}, box)
    if row is None:
        begins = "the log's end" if handler.start is None else f"event {handler.start}"
        state = "" if handler.enabled else ", disabled"
        head = [f'handler "{handler.name}" is new ({handler.type}, from {begins}{state})']
        lines = [*_subscribed(handler, (), frozenset()), *lines]
    else:
        lines = [*_fields(handler, row), *lines]
        head = [f'handler "{handler.name}" changes'] if lines else []
    if not head:
        return
    found.lines += [*head, *(f"  {line}" for line in lines)]
    found.changes.append(
        HandlerChange(
            name=handler.name,
            type=handler.type,
            enabled=handler.enabled,
            keep_events=handler.keep_events,
            options=options,
            subscriptions=handler.subscriptions,
            event_types=handler.event_types,
            start=handler.start,
        )
    )


def _fields(handler: WantedHandler, row: HandlerRow) -> list[str]:
    lines = [
        _moved(name, before, after)
        for name, before, after in (
            ("type", row.type, handler.type),
            ("enabled", row.enabled, handler.enabled),
            ("keep_events", row.keep_events, handler.keep_events),
        )
        if before != after
    ]
    return lines + _subscribed(handler, row.subscriptions, row.event_types)


def _subscribed(
    handler: WantedHandler, before: Sequence[str], types_before: frozenset[str]
) -> list[str]:
    lines = [f"+ subscription {shown(n)}" for n in handler.subscriptions if n not in before]
    lines += [f"- subscription {shown(n)}" for n in before if n not in handler.subscriptions]
    if not lines and handler.event_types != types_before:
        # the same words mean other types: another APIVersion, or a newer catalogue
        lines.append(f"~ event types: {len(types_before)} → {len(handler.event_types)}")
    if not lines and handler.subscriptions != tuple(before):
        lines.append("~ order of the subscriptions")
    return lines


def _options(
    handler: WantedHandler, before: Mapping[str, object], box: Box
) -> tuple[dict[str, object], list[str]]:
    """The options to store, and what differs; an unchanged secret keeps its ciphertext."""
    options: dict[str, object] = {}
    lines = []
    for name, value in handler.options.items():
        if name in handler.secrets:
            options[name], line = _secret(name, str(value), before.get(name), box)
        else:
            options[name] = value
            line = None if _same(value, before.get(name)) else _moved(name, before.get(name), value)
        if line:
            lines.append(line)
    lines += [f"- {name}: the default again" for name in before if name not in options]
    return options, lines


def _secret(name: str, text: str, before: object, box: Box) -> tuple[object, str | None]:
    if not is_sealed(before):
        return seal(text, box), f"+ {name}: set"
    try:
        unchanged = unsealed(before, box) == text
    except StorageError:  # of another key, or damaged: what is given now replaces it
        unchanged = False
    return (before, None) if unchanged else (seal(text, box), f"~ {name}: changed")


def _same(one: object, other: object) -> bool:
    """Equal, and on is not 1."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _moved(name: str, before: object, after: object) -> str:
    if before is None:
        return f"+ {name} = {_value(after)}"
    return f"~ {name}: {_value(before)} → {_value(after)}"


def _value(value: object) -> str:
    if isinstance(value, str):
        value = shown(value, 200)
    return "set" if is_sealed(value) else orjson.dumps(value).decode()
