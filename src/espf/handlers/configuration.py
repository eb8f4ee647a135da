"""`handlers.toml`: from the file to handlers that can be stored, or everything that is wrong in it.

Nothing here writes: the result is compared (`espf.handlers.differences`) and then applied whole.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from espf.errors import ConfigError, HandlerError
from espf.events.catalogue import did_you_mean, nearest, shown
from espf.handlers.given_secrets import read_secret
from espf.handlers.options import flattened, read_options, secret_names
from espf.handlers.port import HandlerType
from espf.handlers.settings import HandlerSettings
from espf.handlers.types import handler_type, handler_type_names

ALL = "all"
MAX_NAME_CHARS = 64
_Result = TypeVar("_Result")
_KEYS = ("name", "type", "enabled", "keep_events", "start", "subscriptions", "options")
_START: Mapping[str, int | None] = {"end": None, "beginning": 1}
_PROVISIONING = {
    "AlertRecepient": "AlertRecepient",  # the handbook's spelling
    "AlertRecipient": "AlertRecepient",
    "send_options": "send_options",
}


@dataclass(frozen=True, slots=True)
class WantedHandler:
    """A handler as the file wants it, checked; secrets in clear."""

    name: str
    type: str
    enabled: bool
    keep_events: bool
    start: int | None
    subscriptions: tuple[str, ...]
    event_types: frozenset[str]
    options: Mapping[str, object]
    secrets: frozenset[str]
    """Names of those options that are secret."""


@dataclass(slots=True)
class Wanted:
    """All that a file wants."""

    handlers: list[WantedHandler] = field(default_factory=list)
    provisioning: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def read_configuration(
    document: Mapping[str, Any], folder: Path, environment: Mapping[str, str]
) -> Wanted:
    """Check a parsed file. `file:` secrets are looked for from `folder`.

    Raises ConfigError whose problems list everything that is wrong, with its handler and option.
    """
    reading = _Reading(folder, environment)
    reading.document(document)
    if reading.problems:
        count = len(reading.problems)
        raise ConfigError(
            f"Nothing was applied: {count} problem{'s' if count > 1 else ''}.", reading.problems
        )
    return reading.wanted


class _Reading:
    """One pass over a file, gathering problems."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.wanted = Wanted()
        self.problems: list[str] = []
        self._folder = folder
        self._environment = environment

    def document(self, document: Mapping[str, Any]) -> None:
        self.problems += _unknown(document, ("handler", "provisioning"), "the file")
        self._provisioning(document.get("provisioning", {}))
        tables = document.get("handler", [])
        if not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
            self.problems.append("handler must be written [[handler]], in double brackets.")
            return
        for number, table in enumerate(tables, 1):
            self._handler(table, number)
        self._names(tables)

    def _names(self, tables: Sequence[Mapping[str, Any]]) -> None:
        names = [one["name"] for one in tables if isinstance(one.get("name"), str)]
        for name in dict.fromkeys(names):
            if names.count(name) > 1:
                self.problems.append(
                    f"{_place(name)}: {names.count(name)} handlers have this name."
                )

    def _provisioning(self, table: object) -> None:
        if not isinstance(table, dict):
            self.problems.append("provisioning must be a table: [provisioning].")
            return
        self.problems += _unknown(table, tuple(_PROVISIONING), "[provisioning]")
        for key, value in table.items():
            if key not in _PROVISIONING:
                continue
            if why := _refused_setting(key, value):
                self.problems.append(f"[provisioning] {key} {why}")
            else:
                self.wanted.provisioning[_PROVISIONING[key]] = value

    def _handler(self, table: Mapping[str, Any], number: int) -> None:
        before = len(self.problems)
        name = table.get("name")
        place = _place(name) if isinstance(name, str) and name else f"handler number {number}"
        self.problems += _unknown(table, _KEYS, place)
        self.problems += [f"{place}: {why}" for why in _refused_keys(table)]
        names = _names_of(table.get("subscriptions"))
        if names is None:
            self.problems.append(
                f'{place}: subscriptions must be a list of event types, or "{ALL}".'
            )
        kind = self._type(table, place)
        if kind is None:
            return
        given = self._options(table, kind, place)
        if given is None:
            return
        settings = self._attempt(place, lambda: read_options(kind.settings, given, kind.name))
        known = settings or _half_read(kind, given)
        types = self._attempt(place, lambda: kind.resolve(known, list(names or ())))
        if len(self.problems) > before or settings is None or types is None:
            return
        self._advise(place, kind, settings, types)
        self.wanted.handlers.append(_wanted(table, kind, given, types))

    def _type(self, table: Mapping[str, Any], place: str) -> HandlerType | None:
        name = table.get("type")
        if not isinstance(name, str) or not name:
            names = ", ".join(handler_type_names())
            self.problems.append(f"{place}: type is missing; installed types: {names}.")
            return None
        return self._attempt(place, lambda: find_type(name))

    def _options(
        self, table: Mapping[str, Any], kind: HandlerType, place: str
    ) -> dict[str, object] | None:
        """Options under their dotted names with secrets in clear, None if they are no table."""
        options = table.get("options", {})
        if not isinstance(options, dict):
            self.problems.append(f"{place}: options must be a table: [handler.options].")
            return None
        flat = flattened(kind.settings, options)
        for name in secret_names(kind.settings) & flat.keys():
            text = flat[name]
            if not isinstance(text, str):
                continue
            found = read_secret(text, self._folder, self._environment)
            if found.problem:
                self.problems.append(f"{place}: {name} {found.problem}")
                flat[name] = "x" * 16  # stands in, so that no second problem is told of it
                continue
            flat[name] = found.text
            if found.literal and text:
                self.wanted.warnings.append(
                    f"{place}: {name} stands in the file itself; "
                    "env:NAME or file:PATH keeps it out."
                )
        return flat

    def _attempt(self, place: str, work: Callable[[], _Result]) -> _Result | None:
        try:
            return work()
        except ConfigError as error:
            found = error.problems or (str(error),)
            self.problems += [f"{place}: {problem}" for problem in found]
        except HandlerError as error:
            self.problems.append(f"{place}: {error}")
        return None

    def _advise(
        self, place: str, kind: HandlerType, settings: HandlerSettings, types: frozenset[str]
    ) -> None:
        warnings: Callable[[HandlerSettings], list[str]] = getattr(kind, "warnings", lambda _: [])
        self.wanted.warnings += [f"{place}: {text}" for text in warnings(settings)]
        if not types:
            self.wanted.warnings.append(f"{place}: it is subscribed to nothing and gets no event.")


def find_type(name: str) -> HandlerType:
    """The handler type of a name or of one of its `aliases`. Raises ConfigError, HandlerError."""
    try:
        return handler_type(name)
    except ConfigError:
        for other in handler_type_names():
            kind = handler_type(other)
            if name in getattr(kind, "aliases", ()):
                return kind
        raise


def _wanted(
    table: Mapping[str, Any],
    kind: HandlerType,
    options: Mapping[str, object],
    types: frozenset[str],
) -> WantedHandler:
    start = table.get("start", "end")
    return WantedHandler(
        name=table["name"],
        type=kind.name,
        enabled=table.get("enabled", True),
        keep_events=table.get("keep_events", False),
        start=_START[start] if isinstance(start, str) else start,
        subscriptions=_names_of(table["subscriptions"]) or (),
        event_types=types,
        options=options,
        secrets=secret_names(kind.settings),
    )


def _half_read(kind: HandlerType, given: Mapping[str, object]) -> HandlerSettings:
    """Settings of options that are partly wrong, good enough to check the subscriptions by."""
    defaults = {of.alias: of.default for of in kind.settings.model_fields.values()}
    fit: dict[str, Any] = {
        name: value for name, value in given.items() if type(value) is type(defaults.get(name))
    }
    return kind.settings.model_construct(None, **fit)


def _place(name: str) -> str:
    return f'handler "{shown(name)}"'


def _unknown(table: Mapping[str, Any], known: Sequence[str], place: str) -> list[str]:
    return [
        f"{place}: there is no {shown(key)}{did_you_mean(nearest(key, known))}"
        for key in table
        if key not in known
    ]


def _refused_keys(table: Mapping[str, Any]) -> list[str]:
    problems = []
    if why := _refused_name(table.get("name")):
        problems.append(f"name {why}")
    problems += [
        f"{key} must be true or false, without quotes."
        for key in ("enabled", "keep_events")
        if not isinstance(table.get(key, True), bool)
    ]
    start = table.get("start", "end")
    number = isinstance(start, int) and not isinstance(start, bool) and 1 <= start < 2**63
    if start not in tuple(_START) and not number:
        problems.append('start must be "end", "beginning" or the number of an event.')
    return problems


def _refused_name(name: object) -> str | None:
    if name is None or name == "":
        return "is missing."
    if not isinstance(name, str):
        return "must be text in quotes."
    if len(name) > MAX_NAME_CHARS:
        return f"is {len(name)} characters long; at most {MAX_NAME_CHARS} are kept."
    if not name.isprintable() or name != name.strip():
        return "must not contain control characters nor begin or end with a space."
    return None


def _refused_setting(key: str, value: object) -> str | None:
    if not isinstance(value, str):
        return "must be text in quotes."
    if len(value) > 1000 or not value.isprintable():
        return "must be one line of at most 1000 characters."
    if key.startswith("Alert"):
        addresses = [part.strip() for part in value.split(",")] if value else []
        if not all(part.count("@") == 1 and " " not in part for part in addresses):
            return "must be a mail address, or several with commas between."
    return None


def _names_of(given: object) -> tuple[str, ...] | None:
    if isinstance(given, str):
        return (given,) if given == ALL else None
    if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
        return None
    return tuple(dict.fromkeys(given))
