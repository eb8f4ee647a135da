"""Type patterns, as in `EventSender.AllowedTypes` (domain, 2.2): `Account/*, Customer/Blocked`.

Patterns are separated by commas or white space; `*` stands for any characters, `/` included; letter
case counts. They are worked out once to a set of names, so that matching an event is a look-up.
"""

import re
from collections.abc import Iterable, Mapping
from itertools import accumulate

from espf.errors import ConfigError
from espf.events.catalogue import did_you_mean, nearest, shown

_SEPARATORS = re.compile(r"[,\s]+")


def split_patterns(text: str) -> list[str]:
    """Return the patterns in a list separated by commas or white space, in their order."""
    return [pattern for pattern in _SEPARATORS.split(text) if pattern]


def matches(pattern: str, name: str) -> bool:
    """Whether the pattern matches the whole name. Takes linear time, whatever the pattern is."""
    first, *rest = pattern.split("*")
    if not rest:
        return name == first
    last = rest.pop()
    if not name.startswith(first):
        return False
    at = len(first)
    for part in rest:
        found = name.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return len(name) - at >= len(last) and name.endswith(last)


def select(patterns: Iterable[str], spellings: Mapping[str, str]) -> frozenset[str]:
    """Return the names that at least one pattern selects.

    `spellings` maps each accepted spelling, aliases included, to the name it stands for
    (`Catalogue.spellings`). Raises ConfigError; its problems list each pattern that selects
    nothing, with the nearest right one.
    """
    selected: set[str] = set()
    problems = []
    for pattern in patterns:
        found = {name for spelling, name in spellings.items() if matches(pattern, spelling)}
        if not found:
            problems.append(unmatched(pattern, spellings))
        selected |= found
    if problems:
        raise ConfigError("Patterns that match no known event type:", problems)
    return frozenset(selected)


def unmatched(pattern: str, spellings: Iterable[str]) -> str:
    """Return a sentence that says that the pattern matches nothing, and which was meant."""
    proposal = did_you_mean(nearest_pattern(pattern, spellings))
    return f"{shown(pattern)} matches no known event type{proposal}"


def nearest_pattern(pattern: str, spellings: Iterable[str]) -> str | None:
    """Return the name, or for a pattern with `*` the `Prefix/*`, most like this one."""
    if "*" not in pattern:
        return nearest(pattern, spellings)
    prefixes = (accumulate(name.split("/")[:-1], lambda a, b: f"{a}/{b}") for name in spellings)
    return nearest(pattern, dict.fromkeys(f"{prefix}/*" for some in prefixes for prefix in some))
