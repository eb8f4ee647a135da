"""Finds handler types by entry point (group `espf.handlers`), ours and anyone's alike."""

from importlib.metadata import EntryPoint, entry_points
from typing import cast

from espf.errors import ConfigError, HandlerError
from espf.events.catalogue import did_you_mean, nearest, shown
from espf.handlers.port import HandlerType

GROUP = "espf.handlers"

_BROKEN = (
    ImportError,
    AttributeError,
    SyntaxError,
    NameError,
    TypeError,
    ValueError,
    LookupError,
    RuntimeError,
    OSError,
)
"""What somebody else's module raises when it does not fit this Python or lacks a dependency."""


def handler_type_names() -> list[str]:
    """Return the names of all installed handler types, sorted. Loads none of them."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def handler_type(name: str) -> HandlerType:
    """Return the handler type of this name.

    Raises ConfigError, with the nearest name, if there is none; HandlerError, naming the package
    it comes from, if it cannot be loaded.
    """
    found = entry_points(group=GROUP, name=name)
    if not found:
        names = handler_type_names()
        raise ConfigError(
            f"{shown(name)} is not a handler type{did_you_mean(nearest(name, names))} "
            f"Installed types: {', '.join(names)}."
        )
    if len({point.value for point in found}) > 1:
        packages = sorted(_package(point) for point in found)
        raise HandlerError(
            f"The handler type {name} comes from {' and from '.join(packages)}; remove all but one."
        )
    return _load(next(iter(found)))


def _package(point: EntryPoint) -> str:
    return "an unknown package" if point.dist is None else f"the package {point.dist.name}"


def _load(point: EntryPoint) -> HandlerType:
    package = _package(point)
    try:
        loaded = point.load()
        made = loaded() if isinstance(loaded, type) else loaded
    except _BROKEN as error:
        raise HandlerError(
            f"The handler type {point.name} of {package} does not load "
            f"({type(error).__name__}: {error}); install that package again or remove it."
        ) from error
    missing = [part for part in ("name", "settings", "start") if not hasattr(made, part)]
    if missing:
        raise HandlerError(
            f"The handler type {point.name} of {package} is not one: {point.value} has no "
            f"{', '.join(missing)} (see espf.handlers.port.HandlerType)."
        )
    return cast("HandlerType", made)
