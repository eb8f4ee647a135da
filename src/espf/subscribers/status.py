"""Effective status: what an account's and its customer's settings come to (domain, 8).

Precedence: termination, export, blocks, suspension, dates, funds, limits, active; within each the
account's own before the customer's. Names are the handbook's, as far as the fields allow them now.
The rule is written here once: the registry shows the first reason, handlers bar service for any.
"""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import NamedTuple

DEBIT, VOUCHER, CREDIT, ALIAS, BENEFICIARY = -1, 0, 1, 2, 4


class CustomerState(NamedTuple):
    """What of a customer counts."""

    bill_status: str = "O"
    blocked: str = "N"
    limited: str = "N"
    balance: Decimal = Decimal(0)
    """What is owed."""
    credit_limit: Decimal | None = None


class AccountState(NamedTuple):
    """What of an account counts."""

    bill_status: str = "O"
    blocked: str = "N"
    billing_model: int = CREDIT
    balance_control: str = "subordinate"
    balance: Decimal = Decimal(0)
    """Debit: what is left; credit: what is owed."""
    credit_limit: Decimal | None = None
    activation_date: date | None = None
    """First day of use."""
    expiration_date: date | None = None
    """Last day of use."""


def customer_funds(customer: CustomerState) -> Decimal | None:
    """Limit less what is owed; None: never exhausted."""
    return None if customer.credit_limit is None else customer.credit_limit - customer.balance


def account_funds(account: AccountState, customer: CustomerState) -> Decimal | None:
    """Available funds of an account; None: never exhausted.

    Vouchers, aliases and beneficiaries are never exhausted by themselves (ours).
    """
    if account.billing_model == DEBIT:
        return account.balance
    if account.billing_model != CREDIT:
        return None
    if account.balance_control == "subordinate":
        return customer_funds(customer)
    return None if account.credit_limit is None else account.credit_limit - account.balance


def account_status(account: AccountState, customer: CustomerState, today: date) -> str:
    """The one status shown for an account."""
    return next(iter(reasons(account, customer, today)), "active")


def reasons(account: AccountState, customer: CustomerState, today: date) -> list[str]:
    """Every status but `active` that holds for an account, the strongest first.

    For each of them service must be off; only `closed` means that the account is gone for good.
    """
    active, expires = account.activation_date, account.expiration_date
    return _holding(
        [
            (account.bill_status == "C" or customer.bill_status == "C", "closed"),
            (customer.bill_status == "D", "customer_provisionally_terminated"),
            (customer.bill_status == "E", "customer_exported"),
            (account.blocked == "Y", "blocked"),
            (customer.blocked == "Y", "customer_blocked"),
            (account.bill_status == "S", "suspended"),
            (customer.bill_status == "S", "customer_suspended"),
            (account.bill_status == "I", "inactive"),
            (expires is not None and expires < today, "expired"),
            (active is not None and active > today, "not_yet_active"),
            *_funds(account, customer),
            (customer.limited == "Y", "customer_limited"),
        ]
    )


def customer_status(customer: CustomerState) -> str:
    """The one status shown for a customer."""
    funds = customer_funds(customer)
    holding = _holding(
        [
            (customer.bill_status == "C", "closed"),
            (customer.bill_status == "D", "provisionally_terminated"),
            (customer.bill_status == "E", "exported"),
            (customer.blocked == "Y", "blocked"),
            (customer.bill_status == "S", "suspended"),
            (funds is not None and funds <= 0, "credit_exceeded"),
            (customer.limited == "Y", "limited"),
        ]
    )
    return next(iter(holding), "active")


def _funds(account: AccountState, customer: CustomerState) -> list[tuple[bool, str]]:
    funds = account_funds(account, customer)
    if funds is None or funds > 0:
        return []
    if account.billing_model == DEBIT:
        return [(True, "zero_balance" if funds == 0 else "overdraft")]
    own = account.balance_control == "individual"
    return [(True, "credit_exceeded" if own else "customer_has_no_available_funds")]


def _holding(found: Iterable[tuple[bool, str]]) -> list[str]:
    return [name for holds, name in found if holds]
