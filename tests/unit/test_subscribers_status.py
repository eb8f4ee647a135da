"""Effective status and available funds."""

from datetime import date
from decimal import Decimal
from itertools import pairwise

import pytest

from espf.subscribers.status import (
    ALIAS,
    DEBIT,
    AccountState,
    CustomerState,
    account_funds,
    account_status,
    customer_status,
)

TODAY = date(2026, 5, 5)
# From the strongest reason to the weakest, each alone.
LADDER = [
    ({"bill_status": "C"}, {}, "closed"),
    ({}, {"bill_status": "D"}, "customer_provisionally_terminated"),
    ({}, {"bill_status": "E"}, "customer_exported"),
    ({"blocked": "Y"}, {}, "blocked"),
    ({}, {"blocked": "Y"}, "customer_blocked"),
    ({"bill_status": "S"}, {}, "suspended"),
    ({}, {"bill_status": "S"}, "customer_suspended"),
    ({"bill_status": "I"}, {}, "inactive"),
    ({"expiration_date": date(2026, 5, 4)}, {}, "expired"),
    ({"activation_date": date(2026, 5, 6)}, {}, "not_yet_active"),
    ({}, {"credit_limit": Decimal(1), "balance": Decimal(1)}, "customer_has_no_available_funds"),
    ({}, {"limited": "Y"}, "customer_limited"),
    ({}, {}, "active"),
]


@pytest.mark.parametrize(("own", "customers", "status"), LADDER)
def test_each_reason_alone_gives_its_status(own, customers, status):
    assert account_status(AccountState(**own), CustomerState(**customers), TODAY) == status


@pytest.mark.parametrize(("stronger", "weaker"), list(pairwise(LADDER)))
def test_the_stronger_of_two_reasons_is_shown(stronger, weaker):
    own, customers = weaker[0] | stronger[0], weaker[1] | stronger[1]
    assert account_status(AccountState(**own), CustomerState(**customers), TODAY) == stronger[2]


def test_the_first_and_the_last_day_are_days_of_use():
    state = AccountState(activation_date=TODAY, expiration_date=TODAY)
    assert account_status(state, CustomerState(), TODAY) == "active"


@pytest.mark.parametrize(
    ("account", "funds", "status"),
    [
        (AccountState(billing_model=DEBIT, balance=Decimal(0)), 0, "zero_balance"),
        (AccountState(billing_model=DEBIT, balance=Decimal(-1)), -1, "overdraft"),
        (AccountState(billing_model=DEBIT, balance=Decimal(1)), 1, "active"),
        (AccountState(billing_model=ALIAS), None, "active"),
        (AccountState(balance_control="individual", balance=Decimal(9)), None, "active"),
        (
            AccountState(balance_control="individual", credit_limit=Decimal(5), balance=Decimal(9)),
            -4,
            "credit_exceeded",
        ),
        (AccountState(balance=Decimal(9)), 3, "active"),
    ],
)
def test_funds_are_the_accounts_own_or_the_customers(account, funds, status):
    customer = CustomerState(credit_limit=Decimal(3))
    assert account_funds(account, customer) == funds
    assert account_status(account, customer, TODAY) == status


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (CustomerState(), "active"),
        (CustomerState(bill_status="C", blocked="Y"), "closed"),
        (CustomerState(bill_status="D"), "provisionally_terminated"),
        (CustomerState(bill_status="E"), "exported"),
        (CustomerState(bill_status="S", blocked="Y"), "blocked"),
        (CustomerState(bill_status="S", limited="Y"), "suspended"),
        (CustomerState(credit_limit=Decimal(0)), "credit_exceeded"),
        (CustomerState(limited="Y"), "limited"),
    ],
)
def test_a_customers_own_status(state, status):
    assert customer_status(state) == status
