"""The fields of each entity, under the API's names: how each is read and where it is stored."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import NamedTuple

from django.db import models

from espf.errors import RegistryError
from espf.registry import values
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
from espf.registry.values import Reader, Value

FLAG = {"Y": "yes", "N": "no"}
ACCOUNT_LETTERS = {"O": "open", "S": "suspended", "I": "inactive", "C": "terminated"}
CUSTOMER_LETTERS = {
    "O": "open",
    "S": "suspended",
    "C": "closed",
    "D": "deactivated",
    "E": "exported",
}
MODELS = {-1: "debit", 0: "voucher", 1: "credit", 2: "alias", 4: "beneficiary"}


class Field(NamedTuple):
    """One field that can be written."""

    name: str
    read: Reader
    column: str
    """Attribute of the model."""
    empty: Value = ""
    """What an empty value stores, where `may_be_empty`."""
    may_be_empty: bool = True
    secret: bool = False
    """Encrypted at rest, never shown."""
    add_only: bool = False


class Entity(NamedTuple):
    """One kind of record."""

    name: str
    model: type[models.Model]
    key: str
    natural: Mapping[str, str]
    """Other keys: API name → lookup of the ORM."""
    fields: Mapping[str, Field]
    read_only: Mapping[str, str]
    """Names that are shown and not written → why."""

    def rows(self) -> models.QuerySet[models.Model]:
        """All rows of the table."""
        return self.model._default_manager.all()  # noqa: SLF001 - Django's documented name


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


def _fields(*fields: Field) -> dict[str, Field]:
    return {field.name: field for field in fields}


def _plain(name: str, limit: int = 255) -> Field:
    return Field(name, values.text(limit), name)


def _needed(name: str, read: Reader, column: str = "") -> Field:
    return Field(name, read, column or name, may_be_empty=False)


def _nullable(name: str, read: Reader, column: str = "") -> Field:
    return Field(name, read, column or name, empty=None)


def _secret(name: str, read: Reader) -> Field:
    return Field(name, read, name, secret=True)


_KEY_RULE = "keys are given out by the registry"
_ENV = _needed("i_env", values.key, "env_id")
_FUNDS = "it follows from balance and limit"
_BALANCE = "use topup and charge, or opening_balance on add"
_STATUS = "it follows from bill_status, blocked, dates and funds"
_CONTACT = [_plain("firstname"), _plain("lastname"), _plain("email"), _plain("phone1", 64)]
_MONEY = [
    _nullable("credit_limit", values.money),
    Field("opening_balance", values.money, "balance", may_be_empty=False, add_only=True),
]

ENVIRONMENT = Entity(
    "environment",
    Environment,
    "i_env",
    {"name": "name"},
    _fields(_needed("name", values.text(255))),
    {"i_env": _KEY_RULE},
)
CUSTOMER = Entity(
    "customer",
    Customer,
    "i_customer",
    {"name": "name"},
    _fields(
        _ENV,
        _needed("name", values.text(255)),
        _needed("bill_status", values.letter(CUSTOMER_LETTERS)),
        _needed("blocked", values.letter(FLAG)),
        _needed("limited", values.letter(FLAG)),
        *_MONEY,
        *_CONTACT,
    ),
    {"i_customer": _KEY_RULE, "balance": _BALANCE, "available_funds": _FUNDS, "status": _STATUS},
)
PRODUCT = Entity(
    "product",
    Product,
    "i_product",
    {"name": "name"},
    _fields(_ENV, _needed("name", values.text(255)), _plain("description")),
    {"i_product": _KEY_RULE},
)
SIM_CARD = Entity(
    "sim_card",
    SimCard,
    "i_sim_card",
    {"imsi": "imsi", "iccid": "iccid"},
    _fields(
        _ENV,
        _needed("imsi", values.digits(6, 15)),
        _nullable("iccid", values.digits(18, 22)),
        _needed("status", values.choice(CARD_STATUSES)),
        _nullable("i_customer", values.key, "customer_id"),
        _needed("amf", values.hexadecimal(4)),
        _plain("hlr_name"),
        _secret("ki", values.hexadecimal(32)),
        _secret("opc", values.hexadecimal(32)),
        _secret("pin", values.digits(4, 8)),
        _secret("puk1", values.digits(8, 8)),
        _secret("puk2", values.digits(8, 8)),
        _secret("activation_code", values.text(255)),
    ),
    {
        "i_sim_card": _KEY_RULE,
        "i_account": "give the card to an account with imsi=… there",
        "msisdn": "it is the id of the account that has the card",
    },
)
ACCOUNT = Entity(
    "account",
    Account,
    "i_account",
    {"id": "visible_id", "imsi": "sim_card__imsi"},
    _fields(
        _ENV,
        _needed("id", values.text(64), "visible_id"),
        _needed("i_customer", values.key, "customer_id"),
        _nullable("i_product", values.key, "product_id"),
        _nullable("imsi", values.digits(6, 15)),
        _needed("role", values.choice(ROLES)),
        _needed("billing_model", values.numbered(MODELS)),
        _needed("balance_control", values.choice(BALANCE_CONTROLS)),
        _needed("bill_status", values.letter(ACCOUNT_LETTERS)),
        _needed("blocked", values.letter(FLAG)),
        *_MONEY,
        _nullable("activation_date", values.day),
        _nullable("expiration_date", values.day),
        _secret("password", values.text(128)),
        _secret("h323_password", values.text(128)),
        *_CONTACT,
        _plain("zip", 16),
        _plain("time_zone_name", 64),
    ),
    {
        "i_account": _KEY_RULE,
        "i_sim_card": "give the card's imsi",
        "balance": _BALANCE,
        "available_funds": _FUNDS,
        "status": _STATUS,
    },
)
ENTITIES: Mapping[str, Entity] = {
    entity.name: entity for entity in (CUSTOMER, ACCOUNT, PRODUCT, SIM_CARD, ENVIRONMENT)
}
