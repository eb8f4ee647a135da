"""Records of what accounts are given, as they are shown; see `records`."""

from collections.abc import Mapping

from django.db.models import Model

from espf.registry.service_models import (
    Accessibility,
    AccessPolicy,
    AccessPolicyAttribute,
    AccessPolicyPhase,
    AccountAddon,
    CustomerSite,
    Service,
    ServiceAttribute,
    ServiceFeature,
    VdPlan,
)
from espf.registry.shown import Shown

_NAMED = {"name": "name", "description": "description"}
_SHOWN: Mapping[type[Model], Mapping[str, str]] = {
    AccountAddon: {
        "i_account_addon": "pk",
        "i_account": "account_id",
        "i_product": "product_id",
        "name": "product.name",
        "description": "product.description",
        "addon_priority": "product.addon_priority",
        "i_vd_plan": "product.vd_plan_id",
        "addon_effective_from": "addon_effective_from",
        "addon_effective_to": "addon_effective_to",
    },
    CustomerSite: {
        "i_customer_site": "pk",
        "i_env": "env_id",
        "i_customer": "customer_id",
        "name": "name",
        "service_flags": "service_flags",
    },
    ServiceFeature: {"i_service_feature": "pk", "name": "name"},
    ServiceAttribute: {
        "i_service_attribute": "pk",
        "i_env": "env_id",
        "i_account": "account_id",
        "i_customer_site": "customer_site_id",
        "i_customer": "customer_id",
        "i_product": "product_id",
        "service_feature": "service_feature.name",
        "name": "name",
        "value": "value",
    },
    AccessPolicy: {"i_access_policy": "pk", "i_env": "env_id", **_NAMED},
    AccessPolicyPhase: {
        "i_access_policy_phase": "pk",
        "i_access_policy": "access_policy_id",
        **_NAMED,
    },
    AccessPolicyAttribute: {
        "i_access_policy_attribute": "pk",
        "i_access_policy": "access_policy_id",
        "i_access_policy_phase": "access_policy_phase_id",
        "group_name": "group_name",
        "name": "name",
        "value": "value",
    },
    VdPlan: {"i_vd_plan": "pk", "i_env": "env_id", **_NAMED},
    Service: {"i_service": "pk", "name": "name"},
    Accessibility: {
        "i_accessibility": "pk",
        "i_product": "product_id",
        "i_service": "service_id",
    },
}
"""API name → attribute of the model."""
SERVICE_RELATED: dict[str, tuple[str, ...]] = {
    "assigned_addon": ("product",),
    "service_attribute": ("service_feature",),
}
"""What is read together with each entity."""


def service_record(row: Model) -> dict[str, Shown] | None:
    """The record of a row; None if it is of another subject."""
    names = _SHOWN.get(type(row))
    return None if names is None else {name: _read(row, path) for name, path in names.items()}


def _read(row: object, path: str) -> Shown:
    for name in path.split("."):
        row = getattr(row, name)
    assert row is None or isinstance(row, str | int)
    return row
