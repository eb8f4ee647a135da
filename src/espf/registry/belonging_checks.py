"""Rules for what accounts and customers have, beyond single values; see `checks`.

What must hold for any writer is a constraint or a trigger; these say it earlier and better, and
fill in what follows from the rest: a number's status from its owner, a customer from the account.
"""

from collections.abc import Callable

from django.db import models

from espf.errors import RegistryError
from espf.registry.belongings import (
    CustomField,
    CustomFieldValue,
    Did,
    FollowMe,
    FollowMeNumber,
    Invoice,
    IpDevice,
    IpDeviceProfile,
)
from espf.registry.models import Account, Customer
from espf.registry.tables import table
from espf.registry.values import Value

Values = dict[str, Value]

_FIXED = {
    "env_id": "i_env",
    "number": "number",
    "account_id": "i_account",
    "customer_id": "i_customer",
    "custom_field_id": "i_custom_field",
    "object": "object",
}
"""Attributes that can be fixed when the record is made → names of their fields."""
_FIXED_OF: dict[type[models.Model], tuple[str, ...]] = {
    Did: ("env_id", "number"),
    Invoice: ("env_id", "customer_id"),
    CustomField: ("env_id", "object"),
    CustomFieldValue: ("custom_field_id", "account_id", "customer_id"),
    FollowMe: ("account_id",),
    FollowMeNumber: ("account_id",),
}


def new(model: type[models.Model], values: Values) -> None:
    """Check and complete a new record."""
    check = _NEW.get(model)
    if check is not None:
        check(values)


def changed(row: models.Model, values: Values) -> None:
    """Check and complete what an update writes."""
    for name in _FIXED_OF.get(type(row), ("env_id",)):
        if name in values and values[name] != getattr(row, name, None):
            raise RegistryError(f"{_FIXED[name]} is fixed when the record is made.", _FIXED[name])
    match row:
        case Did():
            _did(row, values)
        case IpDevice():
            _profile(values, row.env_id)


def _new_did(values: Values) -> None:
    _did(None, values)


def _did(row: Did | None, values: Values) -> None:
    """A number is in use while it has an owner: each of status and owner follows from the other."""
    status = values.get("status")
    if status not in {None, "in_use"} and not (
        values.get("customer_id") or values.get("account_id")
    ):
        values |= {"customer_id": None, "account_id": None}
    _owner(row, values)
    owner = values.get("customer_id", row.customer_id if row else None)
    if status is not None and (status == "in_use") != (owner is not None):
        raise RegistryError(
            "A number is in use exactly while it has an owner: give it one (i_customer=… or "
            "i_account=…), or take it away.",
            "status",
        )
    if status is None and "customer_id" in values:
        if owner is not None and row is not None and row.status not in {"in_use", "not_in_use"}:
            raise RegistryError(
                f"Number {row.number} is {row.status}: set status=in_use along with its owner.",
                "status",
            )
        if owner is not None or (row is not None and row.status == "in_use"):
            values["status"] = "in_use" if owner is not None else "not_in_use"


def _owner(row: Did | None, values: Values) -> None:
    """An account's customer is the number's; a number that changes customer leaves the account."""
    account = values.get("account_id")
    if account is not None:
        found = _account_of(account)
        if values.setdefault("customer_id", found.customer_id) != found.customer_id:
            raise RegistryError(f"Account {found.pk} belongs to another customer.", "i_account")
    elif "customer_id" in values and (row is None or values["customer_id"] != row.customer_id):
        values["account_id"] = None
    customer = values.get("customer_id")
    if customer is not None:
        _same_environment(_customer_of(customer).env_id, row.env_id if row else None, values)


def _invoice(values: Values) -> None:
    _same_environment(_customer_of(values["customer_id"]).env_id, None, values)


def _custom_field_value(values: Values) -> None:
    key = values["custom_field_id"]
    field = table(CustomField).get(i_custom_field=key)
    if field is None:
        raise RegistryError(f"There is no custom_field {key}.", "i_custom_field")
    owners = {name: values.get(f"{name}_id") for name in ("account", "customer")}
    other = "customer" if field.object == "account" else "account"
    if owners[field.object] is None or owners[other] is not None:
        raise RegistryError(
            f"Custom field {field.name} is one of {field.object}s: give i_{field.object} and not "
            f"i_{other}.",
            f"i_{field.object}",
        )
    owner = (
        _account_of(owners["account"])
        if field.object == "account"
        else _customer_of(owners["customer"])
    )
    if owner.env_id != field.env_id:
        raise RegistryError("The custom field is of another environment.", "i_custom_field")


def _of_account(values: Values) -> None:
    _account_of(values["account_id"])


def _new_device(values: Values) -> None:
    _profile(values, values.get("env_id", 1))


def _profile(values: Values, i_env: Value) -> None:
    key = values.get("profile_id")
    if key is not None and not table(IpDeviceProfile).get(i_ip_device_profile=key, env_id=i_env):
        raise RegistryError(
            f"There is no ip_device_profile {key} in this environment.", "i_ip_device_profile"
        )


_NEW: dict[type[models.Model], Callable[[Values], None]] = {
    Did: _new_did,
    Invoice: _invoice,
    CustomFieldValue: _custom_field_value,
    FollowMe: _of_account,
    FollowMeNumber: _of_account,
    IpDevice: _new_device,
}


def _same_environment(i_env: int, present: int | None, values: Values) -> None:
    if values.setdefault("env_id", i_env if present is None else present) != i_env:
        raise RegistryError("The customer belongs to another environment.", "i_env")


def _account_of(key: object) -> Account:
    found = table(Account).get(i_account=key) if isinstance(key, int) else None
    if found is None:
        raise RegistryError(f"There is no account {key}.", "i_account")
    return found


def _customer_of(key: object) -> Customer:
    found = table(Customer).get(i_customer=key) if isinstance(key, int) else None
    if found is None:
        raise RegistryError(f"There is no customer {key}.", "i_customer")
    return found
