"""What one rule writes on PostgreSQL, in terms of the rows OLD and NEW."""

from espf.capture.compiler import Values, quoted
from espf.capture.rules import Rule, RuleSet
from espf.events.catalogue import Catalogue

LANES = 64


class EventSql:
    """Expressions of one rule's event."""

    def __init__(self, rules: RuleSet, rule: Rule) -> None:
        self._values = Values(rules, rule)
        self._rule = rule
        self.watch = rule.watch
        self.type = quoted(rule.event)
        self.when = self._values.condition()

    def variables(self) -> str:
        """A JSON object; one without its optional variables where those have no value."""
        names, optional = self._values.names, self._values.optional
        whole = self._object(names)
        if not optional:
            return whole
        needed = tuple(name for name in names if name not in optional)
        missing = " OR ".join(f"{self._values.variable(name)} IS NULL" for name in optional)
        return f"CASE WHEN {missing} THEN {self._object(needed)} ELSE {whole} END"

    def columns(self) -> dict[str, str]:
        """What each column of the event but its type and variables is made from."""
        values = self._values
        return {
            "i_env": values.i_env,
            "entity": values.kind,
            "entity_id": values.entity_id,
            "lane": f"({values.entity_id}) % {LANES}",
            "has_sim": "0" if values.has_sim is None else f"CAST({values.has_sim} AS integer)",
        }

    def _object(self, names: tuple[str, ...]) -> str:
        """Put together as text: a third of what json_build_object costs, and without its spaces."""
        text, parts = "{", []
        for name in names:
            text += f'"{quoted(name)[1:-1]}":'
            value = self._value(name)
            if value is None:
                text += "null,"
            else:
                parts += [f"'{text}'", value]
                text = ","
        text = text.removesuffix(",")
        return " || ".join([*parts, f"'{text}}}'"])

    def _value(self, name: str) -> str | None:
        """JSON text of a variable; None for one that is always null."""
        expression = self._values.variable(name)
        if expression == "NULL":
            return None
        if self._values.is_money(name):
            expression = f"trim_scale({expression})"
        elif not _is_number(name):
            # A literal has no type of its own.
            text = f"CAST({expression} AS text)" if name in self._rule.set else expression
            expression = f"to_json({text})"
        return f"coalesce(CAST({expression} AS text), 'null')"


def changed(watch: tuple[str, ...]) -> str:
    """Whether one of these columns has another value than before."""
    return " OR ".join(f"OLD.{column} IS DISTINCT FROM NEW.{column}" for column in watch)


def _is_number(name: str) -> bool:
    """Whether the plain text of a value is its JSON; to_json costs four times as much."""
    base = name.removeprefix("prev_").removeprefix("curr_")
    return Catalogue.load().variable_types.get(base) == "int"
