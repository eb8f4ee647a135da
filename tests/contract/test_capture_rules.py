"""The rules against the catalogue: the same names, the right types."""

import tomllib
from importlib import resources
from typing import Any

import pytest

from espf.capture.compiler import INTEGRITY_PREFIX, Values, quoted
from espf.capture.install import triggers
from espf.capture.rules import parse_rules, rules
from espf.errors import CaptureError

CATALOGUE: dict[str, Any] = tomllib.loads(
    resources.files("espf.events").joinpath("events.toml").read_text("utf-8")
)
TYPES = {event["name"]: event for event in CATALOGUE["event"]}
HANDBOOK = {
    *(
        f"Account/{name}"
        for name in (
            "New",
            "SIMCardAssignment",
            "ServicePassword/Changed",
            "Password/Changed",
            "ID/Changed",
            "ZeroAvailableFunds",
            "AvailableFundsAppear",
            "Product/Changed",
            "Blocked",
            "Unblocked",
        )
    ),
    *(
        f"Customer/{name}"
        for name in ("ZeroAvailableFunds", "AvailableFundsAppear", "Blocked", "Unblocked")
    ),
}

HEAD = "version = 1\nmoney = []\n"
RULE = '[[rule]]\nevent = "A/B"\nentity = "a"\non = '


def test_the_handbooks_14_types_are_captured():
    assert len(HANDBOOK) == 14
    assert rules().event_types >= HANDBOOK


@pytest.mark.parametrize("rule", rules().rule, ids=lambda rule: f"{rule.event} on {rule.on}")
def test_a_rule_has_the_variables_and_the_entity_of_the_catalogue(rule):
    catalogued = TYPES[rule.event]
    common = {"i_env", "i_event", "event_time"}
    assert list(rule.variables) == [name for name in catalogued["variables"] if name not in common]
    assert rules().kind(rule) == catalogued["entity"]


def test_money_is_what_the_catalogue_calls_a_number():
    used = {
        name.removeprefix("prev_").removeprefix("curr_")
        for rule in rules().rule
        for name in rule.variables
    }
    numbers = {name for name in used if CATALOGUE["variable_types"][name] == "number"}
    assert numbers == rules().money


def test_no_rule_sends_a_secret():
    sent = {
        Values(rules(), rule).variable(name) for rule in rules().rule for name in rule.variables
    }
    for secret in ("password", "h323_password", "ki", "opc", "pin", "puk1", "puk2"):
        assert not any(sql.endswith(f".{secret}") for sql in sent)


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_compiling_twice_gives_the_same_text(engine):
    assert triggers(engine) == triggers(engine)
    names = [trigger.name for trigger in triggers(engine)]
    assert len(set(names)) == len(names)
    assert all(len(name) < 64 for name in names)  # PostgreSQL would cut it


def test_both_engines_hold_the_registry_together_by_the_same_triggers():
    """But for TRUNCATE, which SQLite does not have, and REPLACE, which PostgreSQL does not."""
    own, other = (
        {one.name for one in triggers(engine) if one.name.startswith(INTEGRITY_PREFIX)}
        for engine in ("sqlite", "postgres")
    )
    assert {name for name in other if not name.endswith("_truncate")} == {
        name for name in own if not name.endswith("_unique")
    }


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("version = 1\nmoney = [", "cannot be read"),
        ("version = 2\nmoney = []\nrule = []\n[entity]", "version"),
        (
            f'{HEAD}[entity.a]\ntable = "t"\nkey = "k"\n{RULE}"update"\nvariables = ["x"]',
            "watches columns",
        ),
        (
            HEAD + "entity = {}\n" + RULE + '"insert"\nvariables = ["x"]',
            "unknown entities",
        ),
    ],
)
def test_wrong_rules_are_refused_with_the_reason(text, what):
    with pytest.raises(CaptureError, match=what):
        parse_rules(text)


def test_names_that_could_break_out_of_a_literal_are_refused():
    with pytest.raises(CaptureError, match="letters"):
        quoted("x' OR 1")
