"""Tables of what an account is given: features, attributes, access policies, add-ons, plans.

An attribute is set on an account, a customer site, a customer or a product, and the nearest of them
wins; `espf.subscribers.services` reads what holds in the end. Flags are a letter for each feature,
as the vendor has them: `service_flags` has that of feature 1 first.
"""

from collections.abc import Sequence

from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Length, Replace
from django.db.models.lookups import Exact

from espf.registry.columns import environment, one_of, text

MAX_FEATURES = 64
PRIORITIES = {
    0: "main",
    10: "low",
    15: "above_low",
    20: "medium",
    25: "above_medium",
    30: "high",
}
"""Of a product: 0 is a main product, the others are add-ons (domain, 8)."""


def service_flags() -> "models.CharField[str, str]":
    """A letter for each feature: Y on, N off, ^ as the next owner has it; none at the end."""
    return models.CharField(max_length=MAX_FEATURES, db_default="", blank=True)


def flags_are_letters(table: str) -> models.CheckConstraint:
    """No other letters, and none that says nothing at the end: so alike flags are alike text."""
    left: Replace | F = F("service_flags")
    for letter in "YN^":
        left = Replace(left, Value(letter), Value(""))
    return models.CheckConstraint(
        condition=Q(Exact(left, Value(""))) & ~Q(service_flags__endswith="^"),
        name=f"{table}_service_flags",
    )


def priorities_fit(table: str) -> models.CheckConstraint:
    """A priority that means something."""
    return one_of(table, "addon_priority", tuple(PRIORITIES))


class VdPlan(models.Model):
    """A volume discount plan, or bundle."""

    i_vd_plan = models.AutoField(primary_key=True)
    env = environment()
    name = models.CharField(max_length=255)
    description = text()

    class Meta:
        """Names are unique in an environment."""

        db_table = "vd_plans"
        constraints = (models.UniqueConstraint(fields=["env", "name"], name="vd_plans_name"),)


class Service(models.Model):
    """Something that can be rated and limited: calls, messages, Internet access."""

    i_service = models.AutoField(primary_key=True)
    name = models.CharField(max_length=255, unique=True)

    class Meta:
        """The same for all environments."""

        db_table = "services"


class ServiceFeature(models.Model):
    """A feature that can be switched and has attributes, such as `netaccess_policy`."""

    i_service_feature = models.AutoField(primary_key=True)
    """Also the place of its letter in `service_flags`."""
    name = models.CharField(max_length=64, unique=True)

    class Meta:
        """The same for all environments."""

        db_table = "service_features"
        constraints = (
            models.CheckConstraint(
                condition=Q(i_service_feature__gte=1, i_service_feature__lte=MAX_FEATURES),
                name="service_features_number",
            ),
        )


class CustomerSite(models.Model):
    """A part of a customer, with service settings of its own."""

    i_customer_site = models.AutoField(primary_key=True)
    env = environment()
    customer = models.ForeignKey(
        "espf_registry.Customer", models.PROTECT, db_column="i_customer", db_index=False
    )
    name = models.CharField(max_length=255)
    service_flags = service_flags()

    class Meta:
        """Names are unique within the customer."""

        db_table = "customer_sites"
        constraints = (
            models.UniqueConstraint(fields=["customer", "name"], name="customer_sites_name"),
            flags_are_letters("customer_sites"),
        )


def _one_owner(owners: Sequence[str]) -> Q:
    found = Q()
    for owner in owners:
        found |= Q(**{f"{other}__isnull": other != owner for other in owners})
    return found


class ServiceAttribute(models.Model):
    """The value of an attribute of a feature, as one owner has set it."""

    i_service_attribute = models.AutoField(primary_key=True)
    env = environment()
    account = models.ForeignKey(
        "espf_registry.Account", models.CASCADE, db_column="i_account", null=True, db_index=False
    )
    customer_site = models.ForeignKey(
        CustomerSite, models.CASCADE, db_column="i_customer_site", null=True, db_index=False
    )
    customer = models.ForeignKey(
        "espf_registry.Customer", models.CASCADE, db_column="i_customer", null=True, db_index=False
    )
    product = models.ForeignKey(
        "espf_registry.Product", models.CASCADE, db_column="i_product", null=True, db_index=False
    )
    service_feature = models.ForeignKey(
        ServiceFeature, models.PROTECT, db_column="i_service_feature"
    )
    name = models.CharField(max_length=64)
    value = models.CharField(max_length=1024, db_default="", blank=True)

    class Meta:
        """One owner, and one value of it for each attribute; the unique keys find an owner's."""

        db_table = "service_attributes"
        constraints = (
            models.CheckConstraint(
                condition=_one_owner(("account", "customer_site", "customer", "product")),
                name="service_attributes_owner",
            ),
            models.CheckConstraint(condition=~Q(name=""), name="service_attributes_named"),
            *(
                models.UniqueConstraint(
                    fields=[owner, "service_feature", "name"],
                    name=f"service_attributes_{owner}",
                )
                for owner in ("account", "customer_site", "customer", "product")
            ),
        )


class AccessPolicy(models.Model):
    """How an account may use the network, in attributes by group (`lte.wtl`)."""

    i_access_policy = models.AutoField(primary_key=True)
    env = environment()
    name = models.CharField(max_length=255)
    description = text()

    class Meta:
        """Names are unique in an environment."""

        db_table = "access_policies"
        constraints = (
            models.UniqueConstraint(fields=["env", "name"], name="access_policies_name"),
        )


class AccessPolicyPhase(models.Model):
    """A phase of a policy, such as after the quota, in which some attributes are others."""

    i_access_policy_phase = models.AutoField(primary_key=True)
    access_policy = models.ForeignKey(
        AccessPolicy, models.CASCADE, db_column="i_access_policy", db_index=False
    )
    name = models.CharField(max_length=255)
    description = text()

    class Meta:
        """Names are unique in a policy."""

        db_table = "policy_phases"
        constraints = (
            models.UniqueConstraint(fields=["access_policy", "name"], name="policy_phases_name"),
        )


class AccessPolicyAttribute(models.Model):
    """An attribute of a policy, or of one of its phases."""

    i_access_policy_attribute = models.AutoField(primary_key=True)
    access_policy = models.ForeignKey(AccessPolicy, models.CASCADE, db_column="i_access_policy")
    access_policy_phase = models.ForeignKey(
        AccessPolicyPhase,
        models.CASCADE,
        db_column="i_access_policy_phase",
        null=True,
        db_index=False,
    )
    group_name = models.CharField(max_length=64)
    name = models.CharField(max_length=64)
    value = models.CharField(max_length=1024, db_default="", blank=True)

    class Meta:
        """One value for each attribute of a policy, and of a phase."""

        db_table = "policy_attributes"
        constraints = (
            models.UniqueConstraint(
                fields=["access_policy", "group_name", "name"],
                condition=Q(access_policy_phase=None),
                name="policy_attributes_name",
            ),
            models.UniqueConstraint(
                fields=["access_policy_phase", "group_name", "name"],
                name="policy_attributes_phase",
            ),
            models.CheckConstraint(condition=~Q(name=""), name="policy_attributes_named"),
        )


class AccountAddon(models.Model):
    """An add-on product of an account, for a time or for good."""

    i_account_addon = models.AutoField(primary_key=True)
    account = models.ForeignKey(
        "espf_registry.Account", models.CASCADE, db_column="i_account", db_index=False
    )
    product = models.ForeignKey("espf_registry.Product", models.PROTECT, db_column="i_product")
    # Text in UTC, YYYY-MM-DD HH:MM:SS: it compares alike on both engines and in any session.
    addon_effective_from = models.CharField(max_length=19, null=True)
    addon_effective_to = models.CharField(max_length=19, null=True)

    class Meta:
        """A product once; its time ends after it begins."""

        db_table = "account_addons"
        constraints = (
            models.UniqueConstraint(fields=["account", "product"], name="account_addons_product"),
            models.CheckConstraint(
                condition=Q(Exact(Length("addon_effective_from"), 19)),
                name="account_addons_addon_effective_from",
            ),
            models.CheckConstraint(
                condition=Q(Exact(Length("addon_effective_to"), 19)),
                name="account_addons_addon_effective_to",
            ),
            models.CheckConstraint(
                condition=Q(addon_effective_to__gt=F("addon_effective_from")),
                name="account_addons_time",
            ),
        )


class Accessibility(models.Model):
    """A service that a product gives access to."""

    i_accessibility = models.AutoField(primary_key=True)
    product = models.ForeignKey(
        "espf_registry.Product", models.CASCADE, db_column="i_product", db_index=False
    )
    service = models.ForeignKey(Service, models.PROTECT, db_column="i_service")

    class Meta:
        """A service once for each product."""

        db_table = "accessibility"
        constraints = (
            models.UniqueConstraint(fields=["product", "service"], name="accessibility_service"),
        )
