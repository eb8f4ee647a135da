"""The fields of each entity, under the API's names: how each is read and where it is stored."""

from collections.abc import Mapping
from difflib import get_close_matches

from espf.errors import RegistryError
from espf.registry import values
from espf.registry.belonging_fields import BELONGINGS
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
    secret,
)
from espf.registry.models import (
    BALANCE_CONTROLS,
    CARD_STATUSES,
    ROLES,
    Account,
    Customer,
    Environment,
    Product,
    SimCard,
)
from espf.registry.service_fields import OF_ACCOUNT, OF_PRODUCT, SERVICE_ENTITIES, SERVICE_FLAGS
from espf.registry.values import Value

ACCOUNT_LETTERS = {"O": "open", "S": "suspended", "I": "inactive", "C": "terminated"}
CUSTOMER_LETTERS = {
    "O": "open",
    "S": "suspended",
    "C": "closed",
    "D": "deactivated",
    "E": "exported",
}
MODELS = {-1: "debit", 0: "voucher", 1: "credit", 2: "alias", 4: "beneficiary"}


def entity_of(name: str) -> Entity:
    """The entity of this name. Raises RegistryError that lists them."""
    found = ENTITIES.get(name)
    if found is None:
        raise RegistryError(f"{name!r} is no entity; there are {', '.join(ENTITIES)}.")
    return found


def read_fields(entity: Entity, given: Mapping[str, object], *, adding: bool) -> dict[str, Value]:
    """Values to store, by the model's attribute.

    Raises RegistryError for the first field that is unknown, of a wrong type or out of range.
    """
    found: dict[str, Value] = {}
    for name, value in given.items():
        field = _field(entity, name)
        if field.add_only and not adding:
            raise RegistryError(f"{name} can be given on add only; use topup or charge.", name)
        found[field.column] = read_value(field, value)
    return found


def read_value(field: Field, value: object) -> Value:
    """One value. Raises RegistryError; a secret's value is never part of the message."""
    if value is None or (isinstance(value, str) and not value.strip()):
        if not field.may_be_empty:
            raise RegistryError(f"{field.name} cannot be empty.", field.name)
        return field.empty
    try:
        return field.read(value)
    except ValueError as error:
        raise RegistryError(f"{field.name} {error}.", field.name) from None


def check_names(entity: Entity, names: list[str]) -> None:
    """Refuse names that cannot be written; the key itself is allowed, as import files have it."""
    for name in names:
        if name != entity.key:
            _field(entity, name)


def _field(entity: Entity, name: str) -> Field:
    field = entity.fields.get(name)
    if field is not None:
        return field
    shown = name if len(name) <= 64 else f"{name[:64]}…"
    if name in entity.read_only:
        raise RegistryError(f"{name} of {entity.name} cannot be written: {entity.read_only[name]}.")
    near = get_close_matches(name[:64], entity.fields, 1, 0.5)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(entity.fields)}."
    raise RegistryError(f"{entity.name} has no field {shown!r}; {hint}", shown)


_FUNDS = "it follows from balance and limit"
_BALANCE = "use topup and charge, or opening_balance on add"
_STATUS = "it follows from bill_status, blocked, dates and funds"
_PERSONAL = [
    plain("companyname"),
    plain("firstname"),
    plain("lastname"),
    plain("email"),
    plain("phone1", 64),
    plain("baddr1"),
    plain("city", 64),
    plain("state", 64),
    plain("zip", 16),
    plain("country", 2),
]
"""Of customers and accounts alike: their personal record."""
_MONEY = [
    nullable("credit_limit", values.money),
    Field("opening_balance", values.money, "balance", may_be_empty=False, add_only=True),
]

ENVIRONMENT = Entity(
    "environment",
    Environment,
    "i_env",
    {"name": "name"},
    by_name(needed("name", values.text(255))),
    {"i_env": KEY_RULE},
    required=("name",),
)
CUSTOMER = Entity(
    "customer",
    Customer,
    "i_customer",
    {"name": "name"},
    by_name(
        ENV,
        needed("name", values.text(255)),
        needed("bill_status", values.letter(CUSTOMER_LETTERS)),
        needed("blocked", values.letter(FLAG)),
        needed("limited", values.letter(FLAG)),
        *_MONEY,
        *_PERSONAL,
        SERVICE_FLAGS,
    ),
    {"i_customer": KEY_RULE, "balance": _BALANCE, "available_funds": _FUNDS, "status": _STATUS},
    required=("name",),
)
PRODUCT = Entity(
    "product",
    Product,
    "i_product",
    {"name": "name"},
    by_name(ENV, needed("name", values.text(255)), plain("description"), *OF_PRODUCT),
    {"i_product": KEY_RULE, "kind": "it follows from addon_priority"},
    required=("name",),
)
SIM_CARD = Entity(
    "sim_card",
    SimCard,
    "i_sim_card",
    {"imsi": "imsi", "iccid": "iccid"},
    by_name(
        ENV,
        needed("imsi", values.digits(6, 15)),
        nullable("iccid", values.digits(18, 22)),
        needed("status", values.choice(CARD_STATUSES)),
        nullable("i_customer", values.key, "customer_id"),
        needed("amf", values.hexadecimal(4)),
        plain("hlr_name"),
        secret("ki", values.hexadecimal(32)),
        secret("opc", values.hexadecimal(32)),
        secret("pin", values.digits(4, 8)),
        secret("puk1", values.digits(8, 8)),
        secret("puk2", values.digits(8, 8)),
        secret("activation_code", values.text(255)),
    ),
    {
        "i_sim_card": KEY_RULE,
        "i_account": "give the card to an account with imsi=… there",
        "msisdn": "it is the id of the account that has the card",
    },
    required=("imsi",),
)
ACCOUNT = Entity(
    "account",
    Account,
    "i_account",
    {"id": "visible_id", "imsi": "sim_card__imsi"},
    by_name(
        ENV,
        needed("id", values.text(64), "visible_id"),
        needed("i_customer", values.key, "customer_id"),
        nullable("i_product", values.key, "product_id"),
        nullable("imsi", values.digits(6, 15)),
        nullable("i_master_account", values.key, "master_id"),
        nullable("i_ip_device", values.key, "ip_device_id"),
        needed("role", values.choice(ROLES)),
        needed("billing_model", values.numbered(MODELS)),
        needed("balance_control", values.choice(BALANCE_CONTROLS)),
        needed("bill_status", values.letter(ACCOUNT_LETTERS)),
        needed("blocked", values.letter(FLAG)),
        *_MONEY,
        nullable("activation_date", values.day),
        nullable("expiration_date", values.day),
        secret("password", values.text(128)),
        secret("h323_password", values.text(128)),
        *_PERSONAL,
        plain("time_zone_name", 64),
        *OF_ACCOUNT,
    ),
    {
        "i_account": KEY_RULE,
        "i_sim_card": "give the card's imsi",
        "balance": _BALANCE,
        "available_funds": _FUNDS,
        "status": _STATUS,
    },
    required=("id", "i_customer"),
)
ENTITIES: Mapping[str, Entity] = {
    entity.name: entity
    for entity in (
        CUSTOMER,
        ACCOUNT,
        PRODUCT,
        SIM_CARD,
        *SERVICE_ENTITIES,
        *BELONGINGS,
        ENVIRONMENT,
    )
}
