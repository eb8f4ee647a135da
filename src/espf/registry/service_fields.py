"""The fields of what accounts are given, under the API's names; see `fields`."""

from espf.registry import values
from espf.registry.entity import ENV, KEY_RULE, Entity, Field, by_name, needed, nullable, plain
from espf.registry.service_models import (
    MAX_FEATURES,
    PRIORITIES,
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
from espf.registry.tables import table

SERVICE_FLAGS = Field("service_flags", values.flags(MAX_FEATURES), "service_flags")
VD_PLAN = nullable("i_vd_plan", values.key, "vd_plan_id")
ACCESS_POLICY_OF = nullable("i_access_policy", values.key, "access_policy_id")
SITE_OF = nullable("i_customer_site", values.key, "customer_site_id")
OF_PRODUCT = [
    needed("addon_priority", values.numbered(PRIORITIES)),
    VD_PLAN,
    ACCESS_POLICY_OF,
    SERVICE_FLAGS,
]
OF_ACCOUNT = [SITE_OF, VD_PLAN, ACCESS_POLICY_OF, SERVICE_FLAGS]

_NAME = needed("name", values.text(255))
_ATTRIBUTE = needed("name", values.text(64))
_VALUE = plain("value", 1024)
_POLICY = needed("i_access_policy", values.key, "access_policy_id")


def feature(value: object) -> int:
    """The key of a service feature, by its name."""
    name = values.plain(value)
    found = table(ServiceFeature).get(name=name)
    if found is None:
        shown = name if len(name) <= 64 else f"{name[:64]}…"
        raise ValueError(f"{shown!r} is no service feature; add it with `add service_feature`")
    return found.i_service_feature


SERVICE_ENTITIES = (
    Entity(
        "assigned_addon",
        AccountAddon,
        "i_account_addon",
        {},
        by_name(
            needed("i_account", values.key, "account_id"),
            needed("i_product", values.key, "product_id"),
            nullable("addon_effective_from", values.moment),
            nullable("addon_effective_to", values.moment),
        ),
        {
            "i_account_addon": KEY_RULE,
            "addon_priority": "it is the product's",
            "name": "it is the product's",
        },
        required=("i_account", "i_product"),
    ),
    Entity(
        "customer_site",
        CustomerSite,
        "i_customer_site",
        {"name": "name"},
        by_name(ENV, needed("i_customer", values.key, "customer_id"), _NAME, SERVICE_FLAGS),
        {"i_customer_site": KEY_RULE},
        required=("i_customer", "name"),
    ),
    Entity(
        "service_feature",
        ServiceFeature,
        "i_service_feature",
        {"name": "name"},
        by_name(_ATTRIBUTE),
        {"i_service_feature": KEY_RULE},
        required=("name",),
    ),
    Entity(
        "service_attribute",
        ServiceAttribute,
        "i_service_attribute",
        {},
        by_name(
            ENV,
            nullable("i_account", values.key, "account_id"),
            nullable("i_customer_site", values.key, "customer_site_id"),
            nullable("i_customer", values.key, "customer_id"),
            nullable("i_product", values.key, "product_id"),
            needed("service_feature", feature, "service_feature_id"),
            _ATTRIBUTE,
            _VALUE,
        ),
        {"i_service_attribute": KEY_RULE},
        required=("service_feature", "name"),
    ),
    Entity(
        "access_policy",
        AccessPolicy,
        "i_access_policy",
        {"name": "name"},
        by_name(ENV, _NAME, plain("description")),
        {"i_access_policy": KEY_RULE},
        required=("name",),
    ),
    Entity(
        "access_policy_phase",
        AccessPolicyPhase,
        "i_access_policy_phase",
        {"name": "name"},
        by_name(_POLICY, _NAME, plain("description")),
        {"i_access_policy_phase": KEY_RULE},
        required=("i_access_policy", "name"),
    ),
    Entity(
        "access_policy_attribute",
        AccessPolicyAttribute,
        "i_access_policy_attribute",
        {},
        by_name(
            _POLICY,
            nullable("i_access_policy_phase", values.key, "access_policy_phase_id"),
            needed("group_name", values.text(64)),
            _ATTRIBUTE,
            _VALUE,
        ),
        {"i_access_policy_attribute": KEY_RULE},
        required=("i_access_policy", "group_name", "name"),
    ),
    Entity(
        "vd_plan",
        VdPlan,
        "i_vd_plan",
        {"name": "name"},
        by_name(ENV, _NAME, plain("description")),
        {"i_vd_plan": KEY_RULE},
        required=("name",),
    ),
    Entity(
        "service",
        Service,
        "i_service",
        {"name": "name"},
        by_name(_NAME),
        {"i_service": KEY_RULE},
        required=("name",),
    ),
    Entity(
        "accessibility",
        Accessibility,
        "i_accessibility",
        {},
        by_name(
            needed("i_product", values.key, "product_id"),
            needed("i_service", values.key, "service_id"),
        ),
        {"i_accessibility": KEY_RULE},
        required=("i_product", "i_service"),
    ),
)
