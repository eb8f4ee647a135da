"""Funds events: once for each crossing, whatever moved it, and never at creation."""

from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import registry_rig

ZERO, APPEAR = "ZeroAvailableFunds", "AvailableFundsAppear"


@pytest.fixture(params=registry_rig.ENGINES)
def rig(request, tmp_path):
    with registry_rig.registry(tmp_path, request.param) as rig:
        registry_rig.populate(rig)
        yield rig


def funds_events(rig):
    return [name for name in rig.types() if name.endswith((ZERO, APPEAR))]


def test_a_debit_account_crosses_with_its_balance(rig):
    for balance, expected in [(1, []), (0, [ZERO]), (-3, []), (0.00001, [APPEAR]), (9, [])]:
        rig.sql("UPDATE accounts SET balance = ? WHERE i_account = 2", balance)
        assert funds_events(rig) == [f"Account/{name}" for name in expected]


def test_a_credit_account_crosses_with_balance_or_limit(rig):
    rig.sql("UPDATE accounts SET balance = 10 WHERE i_account = 3")
    assert funds_events(rig) == ["Account/ZeroAvailableFunds"]
    rig.sql("UPDATE accounts SET credit_limit = 11 WHERE i_account = 3")
    assert funds_events(rig) == ["Account/AvailableFundsAppear"]
    rig.sql("UPDATE accounts SET credit_limit = 30, balance = 20 WHERE i_account = 3")
    assert funds_events(rig) == []


def test_a_subordinate_accounts_events_are_left_to_the_dispatcher(rig):
    rig.sql("UPDATE customers SET balance = 100 WHERE i_customer = 1")
    assert funds_events(rig) == ["Customer/ZeroAvailableFunds"]
    rig.sql("UPDATE accounts SET balance = 1000, credit_limit = 1 WHERE i_account = 1")
    assert funds_events(rig) == []


def test_an_exhausted_account_that_becomes_subordinate_has_its_customers_funds(rig):
    rig.sql("UPDATE accounts SET balance = 10 WHERE i_account = 3")
    rig.events()
    rig.sql("UPDATE accounts SET balance_control = 'subordinate' WHERE i_account = 3")
    assert funds_events(rig) == ["Account/AvailableFundsAppear"]


def test_creation_raises_neither(rig):
    rig.sql("INSERT INTO customers (name, balance, credit_limit) VALUES ('Poor', 5, 1)")
    rig.sql("INSERT INTO accounts (i_customer, id, billing_model, balance) VALUES (1, 'p', -1, 0)")
    assert funds_events(rig) == []


def test_what_vanishes_in_rounding_is_no_crossing(rig):
    rig.sql("UPDATE accounts SET balance = 0.3 WHERE i_account = 2")
    rig.events()
    rig.sql("UPDATE accounts SET balance = 0.3 - 0.1 - 0.2 WHERE i_account = 2")
    [changed, zero] = rig.events()
    assert changed.variables["curr_balance"] == 0
    assert zero.variables["curr_available_funds"] == 0
    rig.sql("UPDATE accounts SET balance = 0.1 + 0.2 - 0.3 WHERE i_account = 2")
    assert rig.events() == []


money = st.one_of(
    st.sampled_from([Decimal(0), Decimal("0.00001"), Decimal("-0.00001")]),
    st.decimals(-1000, 1000, places=5),
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=st.lists(st.tuples(money, st.none() | money), min_size=1, max_size=8))
def test_there_is_one_event_for_each_crossing(rig, steps):
    rig.sql("UPDATE customers SET balance = 0, credit_limit = NULL WHERE i_customer = 1")
    rig.events()
    above, expected = True, []
    for balance, limit in steps:
        rig.sql(
            "UPDATE customers SET balance = CAST(? AS NUMERIC), credit_limit = CAST(? AS NUMERIC)"
            " WHERE i_customer = 1",
            str(balance),
            None if limit is None else str(limit),
        )
        now = limit is None or limit - balance > 0
        if now != above:
            expected.append(f"Customer/{APPEAR if now else ZERO}")
        above = now
    assert funds_events(rig) == expected
