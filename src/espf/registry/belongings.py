"""Tables of what accounts and customers have: custom fields, follow-me, devices, numbers, invoices.

What holds beyond a column's own check (who may refer to whom, what goes when an account does) is in
`capture/references/` and `capture/integrity_*.sql`, for any writer; so keys that a trigger looks
after are `DO_NOTHING` here.
"""

from typing import Any

from django.db import models
from django.db.models import Q

from espf.registry.columns import environment, flag, money, money_fits, one_of, text

DID_STATUSES = ("not_in_use", "in_use", "frozen", "moved")
INVOICE_STATUSES = ("unpaid", "partially_paid", "paid", "overdue", "refunded", "void")
FIELD_OBJECTS = ("account", "customer")
SEQUENCES = ("order", "random", "simultaneous")


def _customer(**options: Any) -> "models.ForeignKey[Any, Any]":
    return models.ForeignKey("Customer", models.PROTECT, db_column="i_customer", **options)


def _account(**options: Any) -> "models.ForeignKey[Any, Any]":
    return models.ForeignKey("Account", models.DO_NOTHING, db_column="i_account", **options)


class Did(models.Model):
    """A number of the inventory; in use while a customer, or an account of one, has it."""

    i_did = models.AutoField(primary_key=True)
    env = environment()
    number = models.CharField(max_length=18)
    status = models.CharField(max_length=10, db_default="not_in_use")
    customer = _customer(null=True)
    account = _account(null=True)
    description = text()

    class Meta:
        """Owner and status are changed together."""

        db_table = "dids"
        constraints = (
            models.UniqueConstraint(fields=["env", "number"], name="dids_number"),
            one_of("dids", "status", DID_STATUSES),
            models.CheckConstraint(
                condition=Q(status="in_use", customer__isnull=False)
                | (~Q(status="in_use") & Q(customer__isnull=True)),
                name="dids_owner",
            ),
            models.CheckConstraint(
                condition=Q(account__isnull=True) | Q(customer__isnull=False),
                name="dids_customer",
            ),
        )


class Invoice(models.Model):
    """What a customer is asked to pay. The amount due is net and adjustments less what is paid."""

    i_invoice = models.AutoField(primary_key=True)
    env = environment()
    customer = _customer()
    invoice_number = models.CharField(max_length=64)
    status = models.CharField(max_length=14, db_default="unpaid")
    amount_net = money(db_default=0)
    adjustments = money(db_default=0)
    amount_paid = money(db_default=0)
    issue_date = models.DateField(null=True)
    due_date = models.DateField(null=True)

    class Meta:
        """Numbers are unique in an environment."""

        db_table = "invoices"
        constraints = (
            models.UniqueConstraint(fields=["env", "invoice_number"], name="invoices_number"),
            one_of("invoices", "status", INVOICE_STATUSES),
            money_fits("invoices", "amount_net"),
            money_fits("invoices", "adjustments"),
            money_fits("invoices", "amount_paid"),
        )


class CustomField(models.Model):
    """A field that the operator added to accounts or to customers."""

    i_custom_field = models.AutoField(primary_key=True)
    env = environment()
    object = models.CharField(max_length=8)
    name = models.CharField(max_length=64)

    class Meta:
        """Names are unique for each object of an environment."""

        db_table = "custom_fields"
        constraints = (
            models.UniqueConstraint(fields=["env", "object", "name"], name="custom_fields_name"),
            one_of("custom_fields", "object", FIELD_OBJECTS),
        )


class CustomFieldValue(models.Model):
    """What a custom field of one account or one customer holds."""

    i_custom_field_value = models.AutoField(primary_key=True)
    custom_field = models.ForeignKey(
        CustomField, models.DO_NOTHING, db_column="i_custom_field", db_index=False
    )
    account = _account(null=True)
    customer = models.ForeignKey("Customer", models.DO_NOTHING, db_column="i_customer", null=True)
    value = text(1000)

    class Meta:
        """One for each field and owner."""

        db_table = "custom_field_values"
        constraints = (
            models.UniqueConstraint(
                fields=["custom_field", "account"], name="custom_field_values_account"
            ),
            models.UniqueConstraint(
                fields=["custom_field", "customer"], name="custom_field_values_customer"
            ),
            models.CheckConstraint(
                condition=Q(account__isnull=True, customer__isnull=False)
                | Q(account__isnull=False, customer__isnull=True),
                name="custom_field_values_owner",
            ),
        )


class FollowMe(models.Model):
    """How an account's calls follow its user; the numbers are `FollowMeNumber`."""

    i_follow_me = models.AutoField(primary_key=True)
    account = models.OneToOneField("Account", models.DO_NOTHING, db_column="i_account")
    enabled = flag("Y")
    sequence = models.CharField(max_length=12, db_default="order")
    timeout = models.PositiveSmallIntegerField(db_default=30)
    """Seconds that a number rings unless it says otherwise."""
    max_forwards = models.PositiveSmallIntegerField(null=True)

    class Meta:
        """One for each account."""

        db_table = "follow_me"
        constraints = (
            one_of("follow_me", "enabled", ("Y", "N")),
            one_of("follow_me", "sequence", SEQUENCES),
        )


class FollowMeNumber(models.Model):
    """A number that an account's calls are forwarded to."""

    i_follow_me_number = models.AutoField(primary_key=True)
    account = _account()
    i_follow_me_order = models.PositiveSmallIntegerField(db_default=1)
    """The numbers are tried in this order."""
    name = text()
    redirect_number = models.CharField(max_length=64)
    timeout = models.PositiveSmallIntegerField(db_default=30)
    """Seconds."""
    active = flag("Y")

    class Meta:
        """As many as an account needs."""

        db_table = "follow_me_numbers"
        constraints = (one_of("follow_me_numbers", "active", ("Y", "N")),)


class IpDeviceProfile(models.Model):
    """What IP devices of one kind are set up by."""

    i_ip_device_profile = models.AutoField(primary_key=True)
    env = environment()
    name = models.CharField(max_length=255)
    description = text()

    class Meta:
        """Names are unique in an environment."""

        db_table = "ip_device_profiles"
        constraints = (
            models.UniqueConstraint(fields=["env", "name"], name="ip_device_profiles_name"),
        )


class IpDevice(models.Model):
    """A telephone or adapter; accounts say which one they are on."""

    i_ip_device = models.AutoField(primary_key=True)
    env = environment()
    profile = models.ForeignKey(
        IpDeviceProfile, models.PROTECT, db_column="i_ip_device_profile", null=True
    )
    name = models.CharField(max_length=255)
    mac = models.CharField(max_length=12, null=True)

    class Meta:
        """Names and MAC addresses are unique in an environment."""

        db_table = "ip_devices"
        constraints = (
            models.UniqueConstraint(fields=["env", "name"], name="ip_devices_name"),
            models.UniqueConstraint(fields=["env", "mac"], name="ip_devices_mac"),
        )
