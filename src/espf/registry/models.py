"""Tables of the registry, under the vendor's names (domain, 8).

Defaults and checks stand in the database, so that a bare shell can write and no writer can store a
letter that means nothing. Keys are never reused. Money has 5 places and at most 10 digits before
them: exact on PostgreSQL, and what SQLite's numbers tell apart. Columns marked "encrypted" hold
`SecretBox` ciphertext.
"""

from django.db import models
from django.db.models import Q

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
from espf.registry.columns import encrypted, environment, flag, money, money_fits, one_of, text
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
    flags_are_letters,
    priorities_fit,
)
from espf.registry.service_models import service_flags as _service_flags

__all__ = [
    "AccessPolicy",
    "AccessPolicyAttribute",
    "AccessPolicyPhase",
    "Accessibility",
    "Account",
    "AccountAddon",
    "CustomField",
    "CustomFieldValue",
    "Customer",
    "CustomerSite",
    "Did",
    "Environment",
    "FollowMe",
    "FollowMeNumber",
    "Invoice",
    "IpDevice",
    "IpDeviceProfile",
    "Product",
    "Service",
    "ServiceAttribute",
    "ServiceFeature",
    "SimCard",
    "VdPlan",
]

ACCOUNT_STATUSES = ("O", "S", "I", "C")
CUSTOMER_STATUSES = ("O", "S", "C", "D", "E")
BILLING_MODELS = (-1, 0, 1, 2, 4)
BALANCE_CONTROLS = ("subordinate", "individual")
CARD_STATUSES = ("available", "reserved", "used", "disposed")
ROLES = (
    "universal",
    "phone_line",
    "auto_attendant",
    "pinless",
    "ipv4_address",
    "mobile",
    "prepaid_card",
    "voucher",
)


class Environment(models.Model):
    """A tenant. Everything else belongs to one."""

    i_env = models.AutoField(primary_key=True)
    name = models.CharField(max_length=255, unique=True)

    class Meta:
        """Number 1 exists from the start."""

        db_table = "environments"


class Product(models.Model):
    """What an account is rated by."""

    i_product = models.AutoField(primary_key=True)
    env = environment()
    name = models.CharField(max_length=255)
    description = text()
    addon_priority = models.SmallIntegerField(db_default=0)
    vd_plan = models.ForeignKey(VdPlan, models.PROTECT, db_column="i_vd_plan", null=True)
    access_policy = models.ForeignKey(
        AccessPolicy, models.PROTECT, db_column="i_access_policy", null=True
    )
    service_flags = _service_flags()

    class Meta:
        """Names are unique in an environment."""

        db_table = "products"
        constraints = (
            models.UniqueConstraint(fields=["env", "name"], name="products_name"),
            priorities_fit("products"),
            flags_are_letters("products"),
        )


class Customer(models.Model):
    """A payer. `balance` is what is owed; available funds are the limit less it."""

    i_customer = models.AutoField(primary_key=True)
    env = environment()
    name = models.CharField(max_length=255)
    bill_status = models.CharField(max_length=1, db_default="O")
    blocked = flag()
    limited = flag()
    balance = money(db_default=0)
    credit_limit = money(null=True)
    companyname = text()
    firstname = text()
    lastname = text()
    email = text()
    phone1 = text(64)
    service_flags = _service_flags()
    baddr1 = text()
    city = text(64)
    state = text(64)
    zip = text(16)
    country = text(2)

    class Meta:
        """Names are unique in an environment."""

        db_table = "customers"
        constraints = (
            models.UniqueConstraint(fields=["env", "name"], name="customers_name"),
            one_of("customers", "bill_status", CUSTOMER_STATUSES),
            one_of("customers", "blocked", ("Y", "N")),
            one_of("customers", "limited", ("Y", "N")),
            money_fits("customers", "balance"),
            money_fits("customers", "credit_limit"),
            flags_are_letters("customers"),
        )


class SimCard(models.Model):
    """A card of the inventory. Its MSISDN is the id of the account that has it, never stored."""

    i_sim_card = models.AutoField(primary_key=True)
    env = environment()
    customer = models.ForeignKey(Customer, models.PROTECT, db_column="i_customer", null=True)
    imsi = models.CharField(max_length=15)
    iccid = models.CharField(max_length=22, null=True)
    status = models.CharField(max_length=9, db_default="available")
    amf = models.CharField(max_length=4, db_default="8000")
    hlr_name = text()
    ki = encrypted()
    opc = encrypted()
    pin = encrypted()
    puk1 = encrypted()
    puk2 = encrypted()
    activation_code = encrypted()

    class Meta:
        """`status` follows the assignment: a trigger sets it, and refuses what contradicts it."""

        db_table = "sim_cards"
        constraints = (
            models.UniqueConstraint(fields=["env", "imsi"], name="sim_cards_imsi"),
            models.UniqueConstraint(fields=["env", "iccid"], name="sim_cards_iccid"),
            one_of("sim_cards", "status", CARD_STATUSES),
        )


class Account(models.Model):
    """A subscriber.

    `balance` of a debit account is what is left; of a credit account, what is owed. A subordinate
    credit account has no funds of its own: the customer's count.
    """

    i_account = models.AutoField(primary_key=True)
    env = environment()
    customer = models.ForeignKey(Customer, models.PROTECT, db_column="i_customer")
    product = models.ForeignKey(Product, models.PROTECT, db_column="i_product", null=True)
    sim_card = models.OneToOneField(SimCard, models.PROTECT, db_column="i_sim_card", null=True)
    # Neither has an index for all: few accounts are aliases or on a device.
    master = models.ForeignKey(
        "self", models.PROTECT, db_column="i_master_account", null=True, db_index=False
    )
    ip_device = models.ForeignKey(
        "IpDevice", models.PROTECT, db_column="i_ip_device", null=True, db_index=False
    )
    visible_id = models.CharField(max_length=64, db_column="id")
    role = models.CharField(max_length=14, db_default="universal")
    billing_model = models.SmallIntegerField(db_default=1)
    balance_control = models.CharField(max_length=11, db_default="subordinate")
    bill_status = models.CharField(max_length=1, db_default="O")
    blocked = flag()
    balance = money(db_default=0)
    credit_limit = money(null=True)
    activation_date = models.DateField(null=True)
    expiration_date = models.DateField(null=True)
    companyname = text()
    firstname = text()
    lastname = text()
    email = text()
    phone1 = text(64)
    baddr1 = text()
    city = text(64)
    state = text(64)
    zip = text(16)
    country = text(2)
    time_zone_name = text(64)
    password = encrypted()
    h323_password = encrypted()
    customer_site = models.ForeignKey(
        CustomerSite, models.PROTECT, db_column="i_customer_site", null=True
    )
    vd_plan = models.ForeignKey(VdPlan, models.PROTECT, db_column="i_vd_plan", null=True)
    access_policy = models.ForeignKey(
        AccessPolicy, models.PROTECT, db_column="i_access_policy", null=True
    )
    service_flags = _service_flags()

    class Meta:
        """The visible id is unique in an environment, a card belongs to one account."""

        db_table = "accounts"
        indexes = (
            models.Index(
                fields=["master"],
                condition=Q(master__isnull=False),
                name="accounts_i_master_account",
            ),
            models.Index(
                fields=["ip_device"],
                condition=Q(ip_device__isnull=False),
                name="accounts_i_ip_device",
            ),
        )
        constraints = (
            models.UniqueConstraint(fields=["env", "visible_id"], name="accounts_id"),
            models.CheckConstraint(condition=~Q(visible_id=""), name="accounts_id_given"),
            one_of("accounts", "role", ROLES),
            one_of("accounts", "billing_model", BILLING_MODELS),
            one_of("accounts", "balance_control", BALANCE_CONTROLS),
            one_of("accounts", "bill_status", ACCOUNT_STATUSES),
            one_of("accounts", "blocked", ("Y", "N")),
            money_fits("accounts", "balance"),
            money_fits("accounts", "credit_limit"),
            flags_are_letters("accounts"),
        )
