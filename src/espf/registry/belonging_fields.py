"""The fields of what accounts and customers have, under the API's names; see `fields`."""

from espf.registry import values
from espf.registry.belongings import (
    DID_STATUSES,
    FIELD_OBJECTS,
    INVOICE_STATUSES,
    SEQUENCES,
    CustomField,
    CustomFieldValue,
    Did,
    FollowMe,
    FollowMeNumber,
    Invoice,
    IpDevice,
    IpDeviceProfile,
)
from espf.registry.entity import (
    ENV,
    FLAG,
    KEY_RULE,
    Entity,
    Field,
    by_name,
    needed,
    nullable,
    plain,
)

_SECONDS = values.between(1, 600)


def _amount(name: str) -> Field:
    return Field(name, values.money, name, may_be_empty=False)


DID = Entity(
    "did",
    Did,
    "i_did",
    {"number": "number"},
    by_name(
        ENV,
        needed("number", values.digits(3, 18)),
        needed("status", values.choice(DID_STATUSES)),
        nullable("i_customer", values.key, "customer_id"),
        nullable("i_account", values.key, "account_id"),
        plain("description"),
    ),
    {"i_did": KEY_RULE},
    required=("number",),
)
INVOICE = Entity(
    "invoice",
    Invoice,
    "i_invoice",
    {"invoice_number": "invoice_number"},
    by_name(
        ENV,
        needed("i_customer", values.key, "customer_id"),
        needed("invoice_number", values.text(64)),
        needed("status", values.choice(INVOICE_STATUSES)),
        _amount("amount_net"),
        _amount("adjustments"),
        _amount("amount_paid"),
        nullable("issue_date", values.day),
        nullable("due_date", values.day),
    ),
    {
        "i_invoice": KEY_RULE,
        "amount_due": "it is amount_net and adjustments less amount_paid",
    },
    required=("i_customer", "invoice_number"),
)
CUSTOM_FIELD = Entity(
    "custom_field",
    CustomField,
    "i_custom_field",
    {"name": "name"},
    by_name(ENV, needed("object", values.choice(FIELD_OBJECTS)), needed("name", values.text(64))),
    {"i_custom_field": KEY_RULE},
    required=("object", "name"),
)
CUSTOM_FIELD_VALUE = Entity(
    "custom_field_value",
    CustomFieldValue,
    "i_custom_field_value",
    {},
    by_name(
        needed("i_custom_field", values.key, "custom_field_id"),
        nullable("i_account", values.key, "account_id"),
        nullable("i_customer", values.key, "customer_id"),
        plain("value", 1000),
    ),
    {
        "i_custom_field_value": KEY_RULE,
        "name": "give the field's i_custom_field",
        "object": "it is the field's",
    },
    required=("i_custom_field",),
)
FOLLOW_ME = Entity(
    "follow_me",
    FollowMe,
    "i_follow_me",
    {"i_account": "account_id"},
    by_name(
        needed("i_account", values.key, "account_id"),
        needed("enabled", values.letter(FLAG)),
        needed("sequence", values.choice(SEQUENCES)),
        needed("timeout", _SECONDS),
        nullable("max_forwards", values.between(1, 99)),
    ),
    {"i_follow_me": KEY_RULE},
    required=("i_account",),
)
FOLLOW_ME_NUMBER = Entity(
    "follow_me_number",
    FollowMeNumber,
    "i_follow_me_number",
    {},
    by_name(
        needed("i_account", values.key, "account_id"),
        needed("redirect_number", values.text(64)),
        needed("i_follow_me_order", values.between(1, 999)),
        needed("timeout", _SECONDS),
        needed("active", values.letter(FLAG)),
        plain("name"),
    ),
    {"i_follow_me_number": KEY_RULE},
    required=("i_account", "redirect_number"),
)
IP_DEVICE_PROFILE = Entity(
    "ip_device_profile",
    IpDeviceProfile,
    "i_ip_device_profile",
    {"name": "name"},
    by_name(ENV, needed("name", values.text(255)), plain("description")),
    {"i_ip_device_profile": KEY_RULE},
    required=("name",),
)
IP_DEVICE = Entity(
    "ip_device",
    IpDevice,
    "i_ip_device",
    {"name": "name", "mac": "mac"},
    by_name(
        ENV,
        needed("name", values.text(255)),
        nullable("mac", values.mac),
        nullable("i_ip_device_profile", values.key, "profile_id"),
    ),
    {"i_ip_device": KEY_RULE},
    required=("name",),
)
BELONGINGS = (
    DID,
    INVOICE,
    CUSTOM_FIELD,
    CUSTOM_FIELD_VALUE,
    FOLLOW_ME,
    FOLLOW_ME_NUMBER,
    IP_DEVICE_PROFILE,
    IP_DEVICE,
)
