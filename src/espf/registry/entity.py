"""What an entity of the registry is to its services: its model, its keys, its fields."""

from collections.abc import Mapping
from typing import NamedTuple

from django.db import models

from espf.registry import values
from espf.registry.values import Reader, Value

FLAG = {"Y": "yes", "N": "no"}
KEY_RULE = "keys are given out by the registry"


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
    required: tuple[str, ...] = ()
    """Fields that a new record needs."""

    def rows(self) -> models.QuerySet[models.Model]:
        """All rows of the table."""
        return self.model._default_manager.all()  # noqa: SLF001 - Django's documented name


def by_name(*fields: Field) -> dict[str, Field]:
    """Fields by their names."""
    return {field.name: field for field in fields}


def plain(name: str, limit: int = 255) -> Field:
    """Text that may be empty."""
    return Field(name, values.text(limit), name)


def needed(name: str, read: Reader, column: str = "") -> Field:
    """Never empty."""
    return Field(name, read, column or name, may_be_empty=False)


def nullable(name: str, read: Reader, column: str = "") -> Field:
    """Nothing where it is empty."""
    return Field(name, read, column or name, empty=None)


def secret(name: str, read: Reader) -> Field:
    """Encrypted, never shown."""
    return Field(name, read, name, secret=True)


ENV = needed("i_env", values.key, "env_id")
