"""Subscribers from their rows: the same on both engines."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from espf.clock import Clock
from espf.errors import StorageError
from espf.subscribers.model import SimCard, Subscriber
from espf.subscribers.secret import Secret
from espf.subscribers.services import NO_SERVICES, Services
from espf.subscribers.status import AccountState, CustomerState, reasons

Decrypt = Callable[[str], str]
PLACES = 5


class _Row(NamedTuple):
    """A row of the statement `subscriber`, in the order of its columns."""

    i_env: int
    i_account: int
    i_customer: int
    i_product: int | None
    id: str
    role: str
    product: str | None
    activation_date: str | None
    expiration_date: str | None
    password: str
    h323_password: str
    i_sim_card: int | None
    imsi: str
    iccid: str | None
    amf: str
    hlr_name: str
    ki: str
    opc: str
    pin: str
    puk1: str
    puk2: str
    activation_code: str
    bill_status: str
    blocked: str
    billing_model: int
    balance_control: str
    balance: str
    credit_limit: str | None
    customer_status: str
    customer_blocked: str
    customer_limited: str
    customer_balance: str
    customer_limit: str | None


def key_of(columns: Sequence[Any]) -> int:
    """The account of a row."""
    return _Row._make(columns).i_account


def subscriber(
    columns: Sequence[Any], given: Mapping[int, Services], decrypt: Decrypt, clock: Clock
) -> Subscriber:
    """The subscriber of a row, with what the accounts are given.

    Raises StorageError for a row that no rule can read.
    """
    row = _Row._make(columns)
    try:
        held = _reasons(row, clock)
        active, expires = day(row.activation_date), day(row.expiration_date)
    except (ValueError, InvalidOperation) as error:
        raise StorageError(
            f"Account {row.i_account} has a date or an amount that cannot be read; correct it with "
            f"`espf registry update account {row.i_account} …`."
        ) from error
    return Subscriber(
        row.i_env,
        row.i_account,
        row.i_customer,
        row.i_product,
        row.id,
        role=row.role,
        product=row.product,
        sim=_card(row, decrypt),
        activation_date=active,
        expiration_date=expires,
        password=Secret.sealed(row.password, decrypt),
        service_password=Secret.sealed(row.h323_password, decrypt),
        closed="closed" in held,
        barred=frozenset(held),
        services=given.get(row.i_account, NO_SERVICES),
    )


def _reasons(row: _Row, clock: Clock) -> list[str]:
    account = AccountState(
        row.bill_status,
        row.blocked,
        row.billing_model,
        row.balance_control,
        money(row.balance),
        limit(row.credit_limit),
        day(row.activation_date),
        day(row.expiration_date),
    )
    customer = CustomerState(
        row.customer_status,
        row.customer_blocked,
        row.customer_limited,
        money(row.customer_balance),
        limit(row.customer_limit),
    )
    today = datetime.fromtimestamp(clock.now_us() / 1_000_000, UTC).date()
    return reasons(account, customer, today)


def _card(row: _Row, decrypt: Decrypt) -> SimCard | None:
    if row.i_sim_card is None:
        return None
    sealed = (row.ki, row.opc, row.pin, row.puk1, row.puk2, row.activation_code)
    plain = (row.i_sim_card, row.imsi, row.iccid, row.amf, row.hlr_name)
    return SimCard(*plain, *(Secret.sealed(text, decrypt) for text in sealed))


def money(text: str) -> Decimal:
    """An amount from its text: SQLite keeps money in binary, with 15 digits that are exact."""
    return round(Decimal(text), PLACES)


def limit(text: str | None) -> Decimal | None:
    """A credit limit; None: there is none."""
    return None if text is None else money(text)


def day(text: str | None) -> date | None:
    """A date; None: not set."""
    return None if text is None else date.fromisoformat(text[:10])
