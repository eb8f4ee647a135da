"""What an EventSender is subscribed to, in whichever words the operator used (domain, 3).

Version 1 handlers name v1 types, their aliases, or patterns of them. Version 2 handlers name groups
(`Subscriber`), v2 names (`Subscriber/Updated`), v1 names, which are mapped, or patterns of either.
"all" is every type. What is captured is always a v1 type.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from espf.errors import ConfigError
from espf.events.catalogue import Catalogue, did_you_mean, shown
from espf.events.patterns import matches, nearest_pattern, split_patterns

ALL = "all"
"""Stands for every type."""


class Wanted(NamedTuple):
    """What the operator asked for."""

    names: Mapping[str, frozenset[str]]
    """Canonical v1 type → the names it may be sent under."""
    problems: tuple[str, ...]
    """A sentence for each entry that stands for nothing."""


def sendable(api_version: int) -> Mapping[str, str]:
    """Return every name that a request may carry, spelt in any accepted way → the name it means.

    `EventSender.AllowedTypes` is matched against these (domain, 2.2).
    """
    catalogue = Catalogue.load()
    return catalogue.spellings if api_version == 1 else {name: name for name in catalogue.v2}


def subscribable(api_version: int) -> dict[str, str]:
    """Return what a handler can be subscribed to: name → description."""
    catalogue = Catalogue.load()
    found = {name: of.description for name, of in catalogue.types.items()}
    if api_version == 1:
        return found
    # DID/Deleted and SIM/Deleted are names of both versions and mean the same
    return {name: of.description for name, of in catalogue.v2.items()} | found


def allowed_names(patterns: str, api_version: int) -> frozenset[str] | None:
    """Return the names that AllowedTypes lets pass, None for all of them.

    Raises ConfigError; its problems list each pattern that matches nothing.
    """
    wanted = split_patterns(patterns)
    names = sendable(api_version)
    passed = {p: {of for name, of in names.items() if matches(p, name)} for p in wanted}
    problems = [_disallowed(pattern, api_version) for pattern in wanted if not passed[pattern]]
    if problems:
        raise ConfigError("EventSender.AllowedTypes:", problems)
    return frozenset().union(*passed.values()) if wanted else None


def read_subscriptions(names: Iterable[str], api_version: int) -> Wanted:
    """Work out which v1 types the entries stand for, and under which names to send them."""
    found: dict[str, set[str]] = {}
    problems = []
    for entry in names:
        pairs = list(_version_1(entry) if api_version == 1 else _version_2(entry))
        if not pairs:
            problems.append(_unknown(entry, api_version))
        for canonical, sent in pairs:
            found.setdefault(canonical, set()).add(sent)
    return Wanted({name: frozenset(sent) for name, sent in found.items()}, tuple(problems))


def _version_1(entry: str) -> Iterator[tuple[str, str]]:
    for spelling, canonical in Catalogue.load().spellings.items():
        if entry == ALL or matches(entry, spelling):
            yield canonical, spelling


def _version_2(entry: str) -> Iterator[tuple[str, str]]:
    """A v2 name selects what is sent as it, a v1 name whatever that type is sent as but for SIM."""
    catalogue = Catalogue.load()
    everything = entry in (ALL, "*")
    selected = [
        v2.name
        for v2 in catalogue.v2.values()
        if everything or entry == v2.group or matches(entry, v2.name)
    ]
    for of in catalogue.types.values():
        yield from ((of.name, name) for name in selected if name in of.v2_names)
    if selected and not everything:  # Subscriber/* means the group, not Subscriber/Name/Changed
        return
    for spelling, canonical in catalogue.spellings.items():
        if everything or matches(entry, spelling):
            of = catalogue.types[canonical]
            # "" keeps a type without counterpart among the subscribed: it ends finished, unsent
            yield canonical, of.v2 or ""
            yield canonical, of.v2_account or of.v2 or ""


# ---- mistakes ----


def _unknown(entry: str, api_version: int) -> str:
    catalogue = Catalogue.load()
    if api_version == 1 and _is_version_2(entry):
        return (
            f"{shown(entry)} is a name of APIVersion 2, the handler has EventSender.APIVersion 1; "
            "subscribe it to version 1 types."
        )
    names = dict.fromkeys([*catalogue.spellings, ALL])
    if api_version == 2:
        names |= dict.fromkeys([*catalogue.v2, *catalogue.groups])
    meant = did_you_mean(nearest_pattern(entry, names))
    return f"{shown(entry)} is not a known event type{meant}"


def _disallowed(pattern: str, api_version: int) -> str:
    catalogue = Catalogue.load()
    known = f"{shown(pattern)} matches no event type of APIVersion {api_version}"
    if api_version == 2:
        types = (
            catalogue.types[of]
            for name, of in catalogue.spellings.items()
            if matches(pattern, name)
        )
        sent = sorted({of.v2 for of in types if of.v2})
        if sent:
            return f"{known}, where it is sent as {' or '.join(sent)}."
    return known + did_you_mean(nearest_pattern(pattern, sendable(api_version)))


def _is_version_2(entry: str) -> bool:
    catalogue = Catalogue.load()
    return entry in catalogue.groups or any(matches(entry, name) for name in catalogue.v2)
