"""Reads the capture rules: which change of which column becomes which event.

They are data, a file for each subject in `rules/`. The order of the rules of a table is the order
of the events that one change raises; so all rules of a table are in one file.

- `[entity.X]`: table, key column, and `has_sim`: whether the row holds a SIM card, if it can.
  Several may share a table: `kind`, `entity_id` and `i_env` say whom the events are about, where
  that is not X, the key and the row's environment.
- `[entity.X.variables]`: what a variable is read from, where it is not the column of its name;
  `{row}` is the row before (`prev_…`) or after the change.
- `[[rule]]`: `on` insert, update or delete; `watch`, for updates: one of these columns must have
  changed; `when`, a further condition, in which OLD and NEW are the row before and after, and
  `{prev_X}`, `{curr_X}` and `{X}` the values the event would carry; `variables` as in the
  catalogue, without `i_env`, `i_event` and `event_time`; `optional`, those left out of the event,
  rather than null, when there is no value; `set`, a value for a variable in this rule only.

Expressions keep to what SQLite and PostgreSQL both read. An insert has no row before it and a
delete none after it: such a `prev_X` or `curr_X` is null. Money is rounded to 5 places.
"""

import tomllib
from collections import Counter
from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from espf.errors import CaptureError

Operation = Literal["insert", "update", "delete"]
_STRICT = ConfigDict(extra="forbid", frozen=True)


class Entity(BaseModel):
    """A table whose changes are captured."""

    model_config = _STRICT

    table: str
    key: str
    """Key column of the row, by which PostgreSQL pairs it with the row before."""
    kind: str = ""
    """Kind of entity in the catalogue, where it is not the name that rules have for it."""
    entity_id: str = ""
    """Integer expression on `{row}`: the event's `entity_id`, where it is not the key."""
    i_env: str = "{row}.i_env"
    """Expression on `{row}`: the environment."""
    has_sim: str | None = None
    """Condition on `{row}` that the row holds a SIM card; None if it never can."""
    variables: dict[str, str] = {}
    """Expressions on `{row}` for variables that are not columns of their own name."""


class Rule(BaseModel):
    """One reason for one type of event."""

    model_config = _STRICT

    event: str
    entity: str
    on: Operation
    watch: tuple[str, ...] = ()
    when: str | None = None
    variables: tuple[str, ...] = Field(min_length=1)
    optional: tuple[str, ...] = ()
    set: dict[str, str] = {}

    @model_validator(mode="after")
    def _watches_what_it_must(self) -> "Rule":
        if (self.on == "update") != bool(self.watch):
            raise ValueError(f"{self.event}: an update rule, and no other, watches columns")
        if unknown := {*self.optional, *self.set} - set(self.variables):
            raise ValueError(f"{self.event}: {sorted(unknown)} not among its variables")
        return self


class RuleSet(BaseModel):
    """All rules, in the order in which one change raises its events."""

    model_config = _STRICT

    version: Literal[1]
    money: frozenset[str] = frozenset()
    """Variables (without prev_ and curr_) that are rounded to 5 places."""
    entity: dict[str, Entity]
    rule: tuple[Rule, ...]

    @model_validator(mode="after")
    def _entities_exist(self) -> "RuleSet":
        if unknown := {rule.entity for rule in self.rule} - set(self.entity):
            raise ValueError(f"rules for unknown entities: {sorted(unknown)}")
        return self

    def kind(self, rule: Rule) -> str:
        """Kind of entity that the rule's events are about, as the catalogue calls it."""
        return self.entity[rule.entity].kind or rule.entity

    @property
    def event_types(self) -> frozenset[str]:
        """Every type that capture can raise."""
        return frozenset(rule.event for rule in self.rule)


def parse_rules(text: str) -> RuleSet:
    """Read rules from TOML. Raises CaptureError that says what is wrong with them."""
    try:
        return RuleSet.model_validate(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise CaptureError(f"The capture rules cannot be read: {error}") from error


def joined(parts: Iterable[RuleSet]) -> RuleSet:
    """The rules of several files. Raises CaptureError for a table that two of them have."""
    found = list(parts)
    tables = Counter(
        table for part in found for table in {entity.table for entity in part.entity.values()}
    )
    if twice := sorted(table for table, files in tables.items() if files > 1):
        raise CaptureError(f"The capture rules of a table are in two files: {', '.join(twice)}.")
    return RuleSet(
        version=1,
        money=frozenset[str]().union(*(part.money for part in found)),
        entity={name: entity for part in found for name, entity in part.entity.items()},
        rule=tuple(rule for part in found for rule in part.rule),
    )


@cache
def rules() -> RuleSet:
    """The rules that come with the program (`rules/*.toml`)."""
    folder = resources.files("espf.capture").joinpath("rules")
    files = sorted(folder.iterdir(), key=lambda file: file.name)
    return joined(parse_rules(file.read_text("utf-8")) for file in files)
