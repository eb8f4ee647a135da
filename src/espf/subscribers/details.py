"""What applications are told of an account or a customer, so that they need not call back.

Named as the billing API names it (domain, 5.2), and without secrets: no statement here reads one.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from espf.clock import Clock
from espf.subscribers.asking import Question
from espf.subscribers.reading import day, limit, money
from espf.subscribers.status import (
    AccountState,
    CustomerState,
    account_funds,
    account_status,
    customer_funds,
    customer_status,
)

Parts = Mapping[str, Mapping[str, Any]]
"""`account_info`, `customer_info`, … → their fields; empty if there is no such entity any more."""


class Whose(NamedTuple):
    """An account or a customer, by its key."""

    kind: Literal["account", "customer"]
    key: int

    @property
    def question(self) -> Question:
        """What asks for it."""
        return Question(f"details_of_{self.kind}", {"key": self.key})


class _Account(NamedTuple):
    """A row of `details_of_account`, in the order of its columns."""

    i_env: int
    i_account: int
    i_customer: int
    i_product: int | None
    id: str
    role: str
    billing_model: int
    balance_control: str
    bill_status: str
    blocked: str
    balance: str
    credit_limit: str | None
    activation_date: str | None
    expiration_date: str | None
    firstname: str
    lastname: str
    email: str
    phone1: str
    zip: str
    time_zone_name: str
    product_name: str | None
    product_description: str | None
    i_sim_card: int | None
    imsi: str
    iccid: str | None
    sim_status: str
    customer_name: str
    customer_status: str
    customer_blocked: str
    customer_limited: str
    customer_balance: str
    customer_limit: str | None


def parts(whose: Whose, rows: Sequence[Sequence[Any]], clock: Clock) -> Parts:
    """The parts of what `whose.question` found."""
    if not rows:
        return {}
    if whose.kind == "customer":
        i_customer, name, *state = rows[0]
        return {"customer_info": _customer(i_customer, name, state)}
    return _of_account(_Account._make(rows[0]), clock)


def _of_account(row: _Account, clock: Clock) -> Parts:
    state = list(row[-5:])
    found = {
        "account_info": _account(row, state, clock),
        "customer_info": _customer(row.i_customer, row.customer_name, state),
    }
    if row.i_product is not None:
        found["product_info"] = {
            "i_product": row.i_product,
            "name": row.product_name,
            "description": row.product_description,
        }
    if row.i_sim_card is not None:
        found["sim_info"] = {
            "i_sim_card": row.i_sim_card,
            "i_account": row.i_account,
            "imsi": row.imsi,
            "iccid": row.iccid,
            "msisdn": row.id.partition("@")[0],
            "status": row.sim_status,
        }
    return found


_AS_IT_IS = (
    "i_env", "i_account", "i_customer", "i_product", "id", "role", "billing_model",
    "balance_control", "bill_status", "firstname", "lastname", "email", "phone1", "zip",
    "time_zone_name", "product_name",
)  # fmt: skip


def _account(row: _Account, customer: Sequence[Any], clock: Clock) -> dict[str, Any]:
    state = AccountState(
        row.bill_status,
        row.blocked,
        row.billing_model,
        row.balance_control,
        money(row.balance),
        limit(row.credit_limit),
        day(row.activation_date),
        day(row.expiration_date),
    )
    payer = _state(customer)
    today = datetime.fromtimestamp(clock.now_us() / 1_000_000, UTC).date()
    return {
        **{name: getattr(row, name) for name in _AS_IT_IS},
        "status": account_status(state, payer, today),
        "blocked": row.blocked == "Y",
        "balance": _number(state.balance),
        "credit_limit": _number(state.credit_limit),
        "available_funds": _number(account_funds(state, payer)),
        "activation_date": row.activation_date and row.activation_date[:10],
        "expiration_date": row.expiration_date and row.expiration_date[:10],
    }


def _customer(i_customer: int, name: str, columns: Sequence[Any]) -> dict[str, Any]:
    state = _state(columns)
    return {
        "i_customer": i_customer,
        "name": name,
        "bill_status": state.bill_status,
        "status": customer_status(state),
        "blocked": state.blocked == "Y",
        "balance": _number(state.balance),
        "credit_limit": _number(state.credit_limit),
        "available_funds": _number(customer_funds(state)),
    }


def _state(columns: Sequence[Any]) -> CustomerState:
    status, blocked, limited, balance, credit_limit = columns
    return CustomerState(status, blocked, limited, money(balance), limit(credit_limit))


def _number(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)
