"""Moves money: top-ups and charges, exact to 5 places."""

from decimal import Decimal

from django.db.models import DecimalField, F, Value
from django.db.models.functions import Round

from espf.errors import RegistryError
from espf.registry import values
from espf.registry.fields import ACCOUNT, CUSTOMER, entity_of
from espf.registry.lookup import find
from espf.registry.models import Account, Customer
from espf.registry.records import record
from espf.registry.services import Record
from espf.registry.storage import one_change
from espf.subscribers.status import CREDIT, DEBIT, VOUCHER


def topup(entity: str, key: str | int, amount: object) -> Record:
    """Give money to a customer or account; returns the record.

    A debit account has more left, a credit account or customer owes less. A subordinate credit
    account has no money of its own: its customer's balance moves. Raises RegistryError for an
    amount that is none, and for accounts that hold no money.
    """
    return _move(entity, key, _amount(amount))


def charge(entity: str, key: str | int, amount: object) -> Record:
    """Take money from a customer or account, below zero if need be; returns the record.

    The mirror of `topup`, subordinate accounts included. Raises RegistryError also for a closed
    customer or account.
    """
    return _move(entity, key, -_amount(amount))


def _amount(given: object) -> Decimal:
    try:
        amount = values.money(given)
    except ValueError as error:
        raise RegistryError(f"The amount {error}.", "amount") from None
    if amount <= 0:
        raise RegistryError("The amount must be above zero.", "amount")
    return amount


def _move(entity: str, key: str | int, given: Decimal) -> Record:
    """`given` is from the subscriber's view: negative for a charge."""
    kind = entity_of(entity)
    with one_change():
        row = find(kind, key, for_change=True)
        if not isinstance(row, Account | Customer):
            raise RegistryError(f"{entity} has no balance; name a customer or an account.")
        if given < 0 and row.bill_status == "C":
            raise RegistryError(f"{entity} {row.pk} is closed and cannot be charged.")
        _add_to_balance(*_purse(row, given))
        return record(find(kind, row.pk))


def _purse(row: Account | Customer, given: Decimal) -> tuple[Account | Customer, Decimal]:
    """Whose balance moves, and by how much."""
    if isinstance(row, Customer):
        return row, -given
    if row.billing_model in {DEBIT, VOUCHER}:
        return row, given
    if row.billing_model != CREDIT:
        raise RegistryError(f"Account {row.pk} is an alias or beneficiary and holds no money.")
    if row.balance_control == "subordinate":
        return row.customer, -given
    return row, -given


def _add_to_balance(row: Account | Customer, difference: Decimal) -> None:
    money: DecimalField[Decimal, Decimal] = DecimalField(
        max_digits=15, decimal_places=values.MONEY_PLACES
    )
    moved = Round(F("balance") + Value(difference, money), values.MONEY_PLACES, output_field=money)
    limit = values.MONEY_LIMIT
    kind = CUSTOMER if isinstance(row, Customer) else ACCOUNT
    one = kind.rows().filter(pk=row.pk).annotate(moved=moved)
    if not one.filter(moved__gt=-limit, moved__lt=limit).update(balance=moved):
        raise RegistryError(f"The balance would reach {limit}; nothing was moved.", "amount")
