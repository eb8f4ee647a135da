"""Reads the capture rules: which change of which column becomes which event."""

import tomllib
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
    """Integer key column; the event's `entity_id`."""
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
    money: frozenset[str]
    """Variables (without prev_ and curr_) that are rounded to 5 places."""
    entity: dict[str, Entity]
    rule: tuple[Rule, ...]

    @model_validator(mode="after")
    def _entities_exist(self) -> "RuleSet":
        if unknown := {rule.entity for rule in self.rule} - set(self.entity):
            raise ValueError(f"rules for unknown entities: {sorted(unknown)}")
        return self

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


@cache
def rules() -> RuleSet:
    """The rules that come with the program (`rules.toml`)."""
    return parse_rules(resources.files("espf.capture").joinpath("rules.toml").read_text("utf-8"))
