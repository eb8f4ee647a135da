"""Options of a handler: from what the operator wrote to settings, and the options' own description.

A settings model is a pydantic model whose aliases are the handbook's dotted names, marked with
`espf.handlers.marks`. Whoever reads options gets every mistake at once, in plain words, and never a
secret in them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from espf.errors import ConfigError
from espf.events.catalogue import did_you_mean, nearest, shown
from espf.handlers.marks import Choices, Kind, Lines, NeededWhen
from espf.handlers.settings import HandlerSettings

SettingsT = TypeVar("SettingsT", bound=HandlerSettings)


@dataclass(frozen=True, slots=True)
class OptionHelp:
    """What documentation and forms need to know about one option."""

    name: str
    """The handbook name, such as `EventSender.TokenRate`."""
    type: str
    """In plain words: "whole number", "number", "on or off", "text", "secret", …"""
    default: bool | int | float | str | None
    """None: no default."""
    needed_when: str | None
    """When it must be set: "always", "EventSender.AuthMethod is Basic"; None for never."""
    help: str
    """One line."""
    secret: bool
    """Written, never shown again."""
    choices: tuple[str | int, ...] = ()


def read_options(model: type[SettingsT], raw: Mapping[str, object], of: str) -> SettingsT:
    """Return the settings that the options stand for.

    `raw` holds what a TOML file or a form gives: whole numbers, numbers, on/off and text. `of` is
    the handler type's name, for messages. Raises ConfigError; its problems list everything that is
    wrong at once: unknown names with the nearest right one, missing ones, wrong values.
    """
    given = flattened(model, raw)
    fields = _fields(model)
    problems = [_unknown(name, fields, of) for name in given if name not in fields]
    values = {name: value for name, value in given.items() if name in fields}
    refused = {name: why for name in values if (why := _refused(values[name], fields[name]))}
    problems += [f"{name} {why}" for name, why in refused.items()]
    fit = {name: _fitting(values[name], fields[name]) for name in values if name not in refused}
    try:
        settings = model.model_validate(fit)
    except ValidationError as error:
        found = error.errors(include_url=False)
        missing = {name for name in _missing(found) if name not in refused}
        problems += [_in_words(detail, fields) for detail in found if detail["type"] != "missing"]
    else:
        missing = set()
    problems += _needed(fields, values, missing)
    if problems:
        raise ConfigError(f"The options of {of} are wrong:", problems)
    return settings


def flattened(model: type[HandlerSettings], raw: Mapping[str, object]) -> dict[str, object]:
    """Return the options under their dotted names.

    In TOML `EventSender.URL = "…"` without quotes makes a table in a table; it means the same.
    """
    known = _fields(model)
    flat: dict[str, object] = {}
    for name, value in raw.items():
        if isinstance(value, Mapping) and name not in known:
            inner = {f"{name}.{key}": below for key, below in value.items()}
            flat |= flattened(model, inner)
        else:
            flat[str(name)] = value
    return flat


def describe(model: type[HandlerSettings]) -> list[OptionHelp]:
    """Return every option of a handler type, its own and the common ones, in a form's order."""
    return [_help(name, field) for name, field in _fields(model).items()]


def secret_names(model: type[HandlerSettings]) -> frozenset[str]:
    """Return the names of the options to encrypt at rest and never to show."""
    return frozenset(name for name, field in _fields(model).items() if _is_secret(field))


# ---- fields ----


def _fields(model: type[HandlerSettings]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _marks(field: FieldInfo, kind: type[Any]) -> Iterator[Any]:
    return (mark for mark in field.metadata if isinstance(mark, kind))


def _types(field: FieldInfo) -> tuple[object, ...]:
    """The alternatives of the field's type: `SecretStr | None` is (SecretStr, NoneType)."""
    return getattr(field.annotation, "__args__", (field.annotation,))


def _is_secret(field: FieldInfo) -> bool:
    return SecretStr in _types(field)


def _help(name: str, field: FieldInfo) -> OptionHelp:
    needed = ["always"] if field.is_required() else [str(m) for m in _marks(field, NeededWhen)]
    return OptionHelp(
        name=name,
        type=_type_in_words(field),
        default=None if field.is_required() else field.default,
        needed_when=" or ".join(needed) or None,
        help=field.description or "",
        secret=_is_secret(field),
        choices=next((mark.values for mark in _marks(field, Choices)), ()),
    )


_WORDS = {bool: "on or off", int: "whole number", float: "number", SecretStr: "secret"}


def _type_in_words(field: FieldInfo) -> str:
    for choices in _marks(field, Choices):
        return "one of " + ", ".join(str(value) for value in choices.values)
    for kind in _marks(field, Kind):
        return str(kind.text)
    return next((words for of, words in _WORDS.items() if of in _types(field)), "text")


# ---- mistakes ----


def _unknown(name: str, fields: Mapping[str, FieldInfo], of: str) -> str:
    meant = nearest(name, fields)
    if meant is None:  # the prefix may be what is missing: TokenRate for EventSender.TokenRate
        last = {known.rpartition(".")[2]: known for known in fields}
        meant = last.get(nearest(name.rpartition(".")[2], last) or "")
    return f"{shown(name)} is not an option of {of}{did_you_mean(meant)}"


def _refused(value: object, field: FieldInfo) -> str | None:
    """Say what is wrong with a value before pydantic, which is too lenient with types, sees it."""
    types = _types(field)
    if isinstance(value, bool) and bool not in types:
        return f"must be {_article(_type_in_words(field))}, not true or false."
    if not isinstance(value, bool | int | float | str):
        return "must be one plain value: text, a number, true or false."
    if isinstance(value, int | float) and SecretStr in types:
        return "must be text: put it in quotes."
    spaces = "\r\n\t" if any(_marks(field, Lines)) else ""
    if isinstance(value, str) and any(_is_control(char) for char in value if char not in spaces):
        return "must not contain control characters (line breaks, tabs, NUL)."
    if isinstance(value, str) and len(value) > MAX_VALUE_CHARS:
        return f"must not be longer than {MAX_VALUE_CHARS} characters."
    return None


MAX_VALUE_CHARS = 8192
"""No value is longer: it would not fit in the header lines that many of them end up in."""


def _is_control(char: str) -> bool:
    return char < " " or "\x7f" <= char <= "\x9f"


def _fitting(value: object, field: FieldInfo) -> object:
    """A number where text is wanted, as in `SuccessCodes = 200`, is that text."""
    if str in _types(field) and isinstance(value, int | float):
        return str(value)
    return value


def _missing(found: Sequence[ErrorDetails]) -> list[str]:
    return [str(detail["loc"][0]) for detail in found if detail["type"] == "missing"]


def _needed(
    fields: Mapping[str, FieldInfo], values: Mapping[str, object], missing: set[str]
) -> list[str]:
    problems = []
    for name, field in fields.items():
        if name in missing:
            problems.append(f"{name} is needed and has no value.")
        elif values.get(name, "") == "":
            problems += [
                f"{name} is needed when {mark}."
                for mark in _marks(field, NeededWhen)
                if _holds(mark, fields, values)
            ]
    return problems


def _holds(mark: NeededWhen, fields: Mapping[str, FieldInfo], values: Mapping[str, object]) -> bool:
    other = values.get(mark.option, fields[mark.option].default)
    return bool(other) if mark.value is None else str(other) == mark.value


def _in_words(detail: ErrorDetails, fields: Mapping[str, FieldInfo]) -> str:
    """Say one of pydantic's findings in plain words, with the value unless it is a secret."""
    name = str(detail["loc"][0])
    field = fields[name]
    if detail["type"] == "value_error":  # from a validator of ours: a whole sentence, fit to show
        return f"{name} {detail['ctx']['error']}"
    given = "" if _is_secret(field) else f", not {shown(str(detail['input']))}"
    return f"{name} must be {_wanted(detail, field)}{given}."


_BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}


def _wanted(detail: ErrorDetails, field: FieldInfo) -> str:
    if detail["type"] in _BOUNDS:
        key, words = _BOUNDS[detail["type"]]
        bound = detail["ctx"][key]
        return f"{words} {int(bound) if bound == int(bound) else bound}"
    return _article(_type_in_words(field))


def _article(words: str) -> str:
    return words if words.startswith(("on ", "one of ", "text")) else f"a {words}"
