"""The event types of the framework: `events.toml` of this package, read once, as frozen records.

What is known, what is reconstructed and what is ours is marked there, so that a fact can be
corrected in the file without touching code (domain, the rule at its top).
"""

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Literal

from espf.errors import ConfigError

Confidence = Literal["documented", "third-party", "reconstructed", "ours"]
"""How sure a fact is: the head of events.toml says what each word means."""

VariableType = Literal["int", "number", "string", "date", "datetime"]

COMMON_VARIABLES = ("i_env", "i_event", "event_time")
"""Variables that every v1 event carries; `Event.variables` holds the others."""

_LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class EventType:
    """A version 1 (standard) event type."""

    name: str
    """The name sent, such as `Account/ID/Changed`; case-sensitive, 2 to 4 segments."""
    aliases: tuple[str, ...]
    """Older names that mean the same type."""
    entity: str
    """Kind of entity it is about: account, customer, sim, …"""
    description: str
    inherited: bool
    """Documented as inherited from the customer."""
    coalesce: bool
    """Of several waiting for one entity only the latest is sent (domain, 1)."""
    v2: str | None
    """Version 2 type sent in its place, None for no counterpart."""
    v2_sim: str | None
    """Version 2 type for a handler subscribed to SIM, while the account holds a card."""
    v2_account: str | None
    """Version 2 type when the owner is an account."""
    variables: tuple[str, ...]
    """Everything a v1 body may carry, COMMON_VARIABLES first."""
    confidence: Confidence
    variables_confidence: Confidence
    v2_confidence: Confidence | None
    source: str | None
    """Table and column behind the event, in the vendor's names."""
    note: str | None

    @property
    def own_variables(self) -> tuple[str, ...]:
        """The variables that `Event.variables` may hold: all but COMMON_VARIABLES."""
        return tuple(name for name in self.variables if name not in COMMON_VARIABLES)

    @property
    def v2_names(self) -> frozenset[str]:
        """Every version 2 type that this one may be sent as."""
        return frozenset(name for name in (self.v2, self.v2_sim, self.v2_account) if name)


@dataclass(frozen=True, slots=True)
class V2Type:
    """A version 2 (simplified) event type: says only what to read again."""

    name: str
    group: str
    """What a handler subscribes to: Subscriber, Customer, Invoice, DID, SIM."""
    description: str
    variables: tuple[str, ...]
    """Always there, in the order sent."""
    optional: tuple[str, ...]
    """There when the event has them."""
    confidence: Confidence


@dataclass(frozen=True, slots=True)
class Dispatch:
    """One row of what a dispatcher derives from what (domain, 4)."""

    handler: str
    input: str
    output: str
    scope: str
    """Which entities get the derived event; the words are explained in events.toml."""
    confidence: Confidence
    note: str | None


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All event types, by name."""

    version: int
    types: Mapping[str, EventType]
    """Version 1, canonical name → type, in the order of the file."""
    v2: Mapping[str, V2Type]
    dispatches: tuple[Dispatch, ...]
    variable_types: Mapping[str, VariableType]
    """Type of each variable; `prev_X` and `curr_X` have the type of X."""
    spellings: Mapping[str, str]
    """Every accepted v1 spelling, aliases included → canonical name."""

    @staticmethod
    def load() -> "Catalogue":
        """Return the catalogue of this package. Read at the first call, the same one ever after."""
        return _load()

    @property
    def groups(self) -> tuple[str, ...]:
        """Version 2 groups, in the order of the file."""
        return tuple(dict.fromkeys(v2.group for v2 in self.v2.values()))

    def find(self, name: str) -> EventType | None:
        """Return the v1 type with this name or alias, None if there is none."""
        canonical = self.spellings.get(name)
        return None if canonical is None else self.types[canonical]

    def require(self, name: str) -> EventType:
        """Return the v1 type with this name or alias.

        Raises ConfigError, naming the nearest right name, if there is none.
        """
        found = self.find(name)
        if found is None:
            raise ConfigError(self.unknown(name))
        return found

    def nearest(self, name: str) -> str | None:
        """Return the v1 name or alias most like this one, None if nothing is like it."""
        return nearest(name, self.spellings)

    def unknown(self, name: str) -> str:
        """Return a sentence that says that there is no such type, and which was meant."""
        return f"{shown(name)} is not a known event type{did_you_mean(self.nearest(name))}"

    def variable_type(self, name: str) -> VariableType:
        """Return the JSON type of a variable. Raises KeyError for one that is not typed."""
        return self.variable_types[name.removeprefix("prev_").removeprefix("curr_")]


def coalescing_types() -> frozenset[str]:
    """Names of the v1 types of which only the latest waiting event is sent (domain, 1)."""
    return frozenset(name for name, of in Catalogue.load().types.items() if of.coalesce)


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the one of `names` most like `name`, letter case aside; None if nothing is like it."""
    if len(name) > _LONGEST_NAME:  # comparing takes quadratic time; nobody mistypes at such length
        return None
    folded: dict[str, str] = {}
    for known in names:
        folded.setdefault(known.casefold(), known)
    found = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.7)
    return folded[found[0]] if found else None


def did_you_mean(name: str | None) -> str:
    """Return the end of a sentence that proposes `name`, or its full stop when there is none."""
    return "." if name is None else f"; did you mean {name}?"


def shown(text: str, limit: int = 60) -> str:
    """Return text that a user gave, fit for a message: no control characters, not endless."""
    printable = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[: limit + 1])
    return printable if len(printable) <= limit else f"{printable[:limit]}…"


@cache
def _load() -> Catalogue:
    text = files("espf.events").joinpath("events.toml").read_text(encoding="utf-8")
    document = tomllib.loads(text)
    types = {row["name"]: _event_type(row) for row in document["event"]}
    spellings = {name: name for name in types}
    spellings |= {alias: name for name, of in types.items() for alias in of.aliases}
    return Catalogue(
        version=document["version"],
        types=MappingProxyType(types),
        v2=MappingProxyType({name: _v2_type(name, row) for name, row in document["v2"].items()}),
        dispatches=tuple(_dispatch(row) for row in document["dispatch"]),
        variable_types=MappingProxyType(document["variable_types"]),
        spellings=MappingProxyType(spellings),
    )


def _event_type(row: dict[str, Any]) -> EventType:
    return EventType(
        name=row["name"],
        aliases=tuple(row["aliases"]),
        entity=row["entity"],
        description=row["description"],
        inherited=row["inherited"],
        coalesce=row["coalesce"],
        v2=row["v2"] or None,
        v2_sim=row.get("v2_sim"),
        v2_account=row.get("v2_account"),
        variables=tuple(row["variables"]),
        confidence=row["confidence"],
        variables_confidence=row.get("variables_confidence", "ours"),
        v2_confidence=row.get("v2_confidence"),
        source=row.get("source"),
        note=row.get("note"),
    )


def _v2_type(name: str, row: dict[str, Any]) -> V2Type:
    return V2Type(
        name=name,
        group=row["group"],
        description=row["description"],
        variables=tuple(row["variables"]),
        optional=tuple(row.get("optional", ())),
        confidence=row["confidence"],
    )


def _dispatch(row: dict[str, Any]) -> Dispatch:
    return Dispatch(
        handler=row["handler"],
        input=row["input"],
        output=row["output"],
        scope=row["scope"],
        confidence=row["confidence"],
        note=row.get("note"),
    )
