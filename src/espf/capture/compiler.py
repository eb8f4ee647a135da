"""Port of the trigger compilers, and what every dialect renders alike.

A dialect says how values are compared, how JSON is built and what a trigger looks like; the
expressions of the rules are the same everywhere.
"""

import re
from importlib import resources
from typing import NamedTuple, Protocol

from espf.capture.rules import Entity, Rule, RuleSet
from espf.errors import CaptureError

PREFIX = "espf_capture_"
"""Every trigger of capture starts so; `install` owns all triggers of this name."""
INTEGRITY_PREFIX = "espf_registry_"
"""So do those that hold the registry together."""

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


class Trigger(NamedTuple):
    """One compiled trigger."""

    name: str
    sql: str
    """Its whole CREATE TRIGGER statement; on PostgreSQL its function's before it."""


class TriggerCompiler(Protocol):
    """Turns rules into the triggers of one database; SQLite's and PostgreSQL's implement it."""

    def compile(self, rules: RuleSet) -> list[Trigger]:
        """Triggers in the order of the rules.

        Raises CaptureError for a rule that cannot be expressed.
        """


class Values:
    """Renders the values that an event of one rule carries."""

    def __init__(self, rules: RuleSet, rule: Rule) -> None:
        self._rules = rules
        self._rule = rule
        self._entity: Entity = rules.entity[rule.entity]

    def variable(self, name: str) -> str:
        """SQL of a variable: `prev_X` from the row before, `curr_X` and `X` from the row after."""
        if name in self._rule.set:
            return self._rule.set[name]
        row, base = self._row(name)
        if row is None:
            return "NULL"
        expression = self._entity.variables.get(base, f"{{row}}.{base}").replace("{row}", row)
        return f"ROUND({expression}, 5)" if self.is_money(name) else expression

    @property
    def names(self) -> tuple[str, ...]:
        """Variables of the event, without optional ones that never have a value in this rule."""
        never = {name for name in self._rule.optional if self.variable(name) == "NULL"}
        return tuple(name for name in self._rule.variables if name not in never)

    @property
    def optional(self) -> tuple[str, ...]:
        """Those of them that are left out where they have no value."""
        return tuple(name for name in self.names if name in self._rule.optional)

    @property
    def kind(self) -> str:
        """Literal of the kind of entity."""
        return quoted(self._rules.kind(self._rule))

    @property
    def entity_id(self) -> str:
        """SQL of the entity's integer key."""
        return self._of_row(self._entity.entity_id or f"{{row}}.{self._entity.key}")

    @property
    def i_env(self) -> str:
        """SQL of the environment."""
        return self._of_row(self._entity.i_env)

    @property
    def has_sim(self) -> str | None:
        """Condition that a card is held, before the change or after it; None if it never is."""
        condition = self._entity.has_sim
        if condition is None:
            return None
        rows = {"insert": ["NEW"], "update": ["OLD", "NEW"], "delete": ["OLD"]}[self._rule.on]
        return " OR ".join(condition.replace("{row}", row) for row in rows)

    def is_money(self, name: str) -> bool:
        """Whether a variable read from a row is rounded to 5 places."""
        return name not in self._rule.set and self._row(name)[1] in self._rules.money

    def condition(self) -> str | None:
        """The rule's `when`, its placeholders filled in."""
        if self._rule.when is None:
            return None
        return _PLACEHOLDER.sub(lambda match: self.variable(match[1]), self._rule.when)

    def _of_row(self, expression: str) -> str:
        return expression.replace("{row}", "OLD" if self._rule.on == "delete" else "NEW")

    def _row(self, name: str) -> tuple[str | None, str]:
        if name.startswith("prev_"):
            return (None if self._rule.on == "insert" else "OLD"), name.removeprefix("prev_")
        if name.startswith("curr_"):
            return (None if self._rule.on == "delete" else "NEW"), name.removeprefix("curr_")
        return ("OLD" if self._rule.on == "delete" else "NEW"), name


def grouped(rules: RuleSet) -> list[list[Rule]]:
    """Rules that share a trigger: same table and operation, and for updates the same columns.

    Triggers on few columns are cheap: the database does not even look at one whose columns a
    statement leaves alone, while one trigger with all rules made each updated row 6 times slower.
    """
    groups: dict[tuple[str, str, tuple[str, ...]], list[Rule]] = {}
    for rule in rules.rule:
        groups.setdefault((rules.entity[rule.entity].table, rule.on, rule.watch), []).append(rule)
    return list(groups.values())


def quoted(text: str) -> str:
    """An SQL string literal. Raises CaptureError for text that no type or variable has."""
    if not re.fullmatch(r"[\w/]+", text):
        raise CaptureError(f"The capture rules name {text!r}; use letters, digits, _ and / only.")
    return f"'{text}'"


def integrity_scripts(engine: str) -> str:
    """The triggers of `integrity*_ENGINE.sql` that hold the registry together, written by hand."""
    files = sorted(resources.files("espf.capture").iterdir(), key=lambda file: file.name)
    wanted = (f for f in files if re.fullmatch(rf"integrity\w*_{engine}\.sql", f.name))
    return "\n".join(file.read_text("utf-8") for file in wanted)
