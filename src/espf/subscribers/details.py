"""What applications are told of an account, a customer or a card, so that they need not call back.

Named as the billing API names it (domain, 5.2), and without secrets: no statement here reads one.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from espf.clock import Clock
from espf.subscribers.given import addons_by_account, features_shown, policy_shown
from espf.subscribers.reading import day, limit, money
from espf.subscribers.services import NO_SERVICES, Services, services
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
Rows = Sequence[Sequence[Any]]


class Whose(NamedTuple):
    """An account, a customer or a card, by its key."""

    kind: Literal["account", "customer", "sim"]
    key: int
    prev_i_sim_card: int | None = None
    """A card that was taken from the account, to be shown beside."""


class Found(NamedTuple):
    """The answers to `asking.details_of`, in its order."""

    accounts: Rows
    customers: Rows
    cards: Rows
    addons: Rows
    services: Rows


class _Account(NamedTuple):
    """A row of `details_of_accounts`, in the order of its columns."""

    i_env: int
    i_account: int
    i_customer: int
    i_product: int | None
    i_master_account: int | None
    i_vd_plan: int | None
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
    product_vd_plan: int | None
    product_priority: int | None
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


class _Card(NamedTuple):
    """A row of `details_of_cards`, in the order of its columns."""

    i_sim_card: int
    i_account: int | None
    imsi: str
    iccid: str | None
    id: str | None
    status: str


def parts(wanted: Sequence[Whose], found: Found, clock: Clock) -> list[Parts]:
    """The parts of each that was asked for, in their order."""
    accounts = {row.i_account: row for row in map(_Account._make, found.accounts)}
    customers = {row[0]: row for row in found.customers}
    cards = {row.i_sim_card: row for row in map(_Card._make, found.cards)}
    addons = addons_by_account(found.addons)
    given = services(found.services)

    def one(whose: Whose) -> Parts:
        match whose.kind:
            case "customer":
                row = customers.get(whose.key)
                return {} if row is None else {"customer_info": _customer(row[0], row[1], row[2:])}
            case "sim":
                return _card_part("sim_info", cards.get(whose.key))
            case "account":
                taken = _card_part("prev_sim_info", cards.get(whose.prev_i_sim_card or 0))
                account = accounts.get(whose.key)
                if account is None:
                    return taken
                own = given.get(whose.key, NO_SERVICES)
                return _of_account(account, addons[whose.key], own, clock) | taken

    return [one(whose) for whose in wanted]


def _of_account(
    row: _Account, addons: list[dict[str, Any]], given: Services, clock: Clock
) -> dict[str, Mapping[str, Any]]:
    state = list(row[-5:])
    features = features_shown(given)
    found: dict[str, Mapping[str, Any]] = {
        "account_info": _account(row, state, clock)
        | {"assigned_addons": addons, "service_features": features},
        "customer_info": _customer(row.i_customer, row.customer_name, state),
    }
    if row.i_product is not None:
        found["product_info"] = {
            "i_product": row.i_product,
            "name": row.product_name,
            "description": row.product_description,
            "i_vd_plan": row.product_vd_plan,
            "addon_priority": row.product_priority,
        }
    if given.access_policy is not None:
        found["access_policy_info"] = policy_shown(given.access_policy)
    if row.i_sim_card is not None:
        held = _Card(row.i_sim_card, row.i_account, row.imsi, row.iccid, row.id, row.sim_status)
        found |= _card_part("sim_info", held)
    return found


def _card_part(name: str, card: _Card | None) -> dict[str, Mapping[str, Any]]:
    """A card as it is now; the number is that of the account that holds it."""
    if card is None:
        return {}
    shown = {
        "i_sim_card": card.i_sim_card,
        "i_account": card.i_account,
        "imsi": card.imsi,
        "iccid": card.iccid,
        "msisdn": None if card.id is None else card.id.partition("@")[0],
        "status": card.status,
    }
    return {name: shown}


_AS_IT_IS = (
    "i_env", "i_account", "i_customer", "i_product", "i_master_account", "i_vd_plan", "id", "role",
    "billing_model", "balance_control", "bill_status", "firstname", "lastname", "email", "phone1",
    "zip", "time_zone_name", "product_name",
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
