"""Rules for what accounts are given, beyond single values; see `checks`.

What must hold for any writer is a constraint or a trigger; these say it earlier and better, and
fill in the environment, which follows from the owner.
"""

from collections.abc import Callable
from typing import TypeVar

from django.db import models

from espf.errors import RegistryError
from espf.registry.models import Account, Customer, Product
from espf.registry.service_models import (
    MAX_FEATURES,
    Accessibility,
    AccessPolicyAttribute,
    AccessPolicyPhase,
    AccountAddon,
    CustomerSite,
    ServiceAttribute,
    ServiceFeature,
)
from espf.registry.tables import table
from espf.registry.values import Value

Values = dict[str, Value]
M = TypeVar("M", bound=models.Model)

OWNERS: dict[str, type[models.Model]] = {
    "account_id": Account,
    "customer_site_id": CustomerSite,
    "customer_id": Customer,
    "product_id": Product,
}
"""Whose an attribute may be, by the model's attribute; the nearest first."""
_FIXED_OF: dict[type[models.Model], tuple[str, ...]] = {
    AccountAddon: ("account_id", "product_id"),
    CustomerSite: ("customer_id",),
    ServiceFeature: ("name",),
    ServiceAttribute: (*OWNERS, "service_feature_id", "name"),
    AccessPolicyPhase: ("access_policy_id",),
    AccessPolicyAttribute: ("access_policy_id", "access_policy_phase_id"),
    Accessibility: ("product_id", "service_id"),
}


def new(model: type[models.Model], values: Values) -> None:
    """Check and complete a new record."""
    if check := _NEW.get(model):
        check(values)


def changed(row: models.Model, values: Values) -> None:
    """Check what an update writes."""
    for name in _FIXED_OF.get(type(row), ()):
        if name in values and values[name] != getattr(row, name):
            shown = "service_feature" if name == "service_feature_id" else _field(name)
            raise RegistryError(
                f"{shown} is fixed when the record is made; remove it and add another.", shown
            )
    if isinstance(row, AccountAddon):
        _time(
            values.get("addon_effective_from", row.addon_effective_from),
            values.get("addon_effective_to", row.addon_effective_to),
        )


def _site(values: Values) -> None:
    _environment_of(Customer, values["customer_id"], values)


def _attribute(values: Values) -> None:
    given = [name for name in OWNERS if values.get(name) is not None]
    if len(given) != 1:
        names = ", ".join(_field(name) for name in OWNERS)
        raise RegistryError(f"An attribute is set on one owner: give one of {names}.")
    _environment_of(OWNERS[given[0]], values[given[0]], values)


def _feature(_values: Values) -> None:
    found = ServiceFeature._default_manager.order_by("-pk").first()  # noqa: SLF001 - Django's name
    if found is not None and found.pk >= MAX_FEATURES:
        raise RegistryError(f"There are {MAX_FEATURES} service features already; no more fit.")


def _addon(values: Values) -> None:
    account = _there(Account, values["account_id"])
    product = _there(Product, values["product_id"])
    if account.bill_status == "C":
        raise RegistryError(f"Account {account.pk} is closed.", "i_account")
    if product.addon_priority == 0:
        raise RegistryError(
            f"Product {product.pk} is a main product: give it to the account with i_product=… "
            "there, or make it an add-on with addon_priority=….",
            "i_product",
        )
    _time(values.get("addon_effective_from"), values.get("addon_effective_to"))


def _policy_attribute(values: Values) -> None:
    key = values.get("access_policy_phase_id")
    if key is None:
        return
    if _there(AccessPolicyPhase, key).access_policy_id != values["access_policy_id"]:
        raise RegistryError(f"Phase {key} is of another access policy.", "i_access_policy_phase")


_NEW: dict[type[models.Model], Callable[[Values], None]] = {
    CustomerSite: _site,
    ServiceAttribute: _attribute,
    ServiceFeature: _feature,
    AccountAddon: _addon,
    AccessPolicyAttribute: _policy_attribute,
}


def _time(begins: Value, ends: Value) -> None:
    if begins is not None and ends is not None and str(ends) <= str(begins):
        raise RegistryError(
            "addon_effective_to is not after addon_effective_from.", "addon_effective_to"
        )


def _environment_of(owner: type[models.Model], key: Value, values: Values) -> None:
    i_env = getattr(_there(owner, key), "env_id")  # noqa: B009 - each owner has one
    if values.setdefault("env_id", i_env) != i_env:
        raise RegistryError("It belongs to another environment.", "i_env")


def _there(model: type[M], key: Value) -> M:
    pk = str(model._meta.pk.attname)  # noqa: SLF001 - Django's documented name
    found = table(model).get(for_change=False, **{pk: key})
    if found is None:
        raise RegistryError(f"There is no {pk.removeprefix('i_')} {key}.", pk)
    return found


def _field(attribute: str) -> str:
    """The API's name of a model's attribute."""
    return f"i_{attribute.removesuffix('_id')}" if attribute.endswith("_id") else attribute
