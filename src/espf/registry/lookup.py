"""Finds records: by their keys, and by filters."""

from collections.abc import Mapping

from django.db.models import Model, QuerySet

from espf.errors import RegistryError
from espf.registry import values
from espf.registry.entity import Entity
from espf.registry.fields import read_value
from espf.registry.records import RELATED

MAX_PAGE = 1000


def rows(entity: Entity) -> QuerySet[Model]:
    """All rows of an entity, with what is shown along with them."""
    return entity.rows().select_related(*RELATED.get(entity.name, ()))


def find(entity: Entity, key: str | int, *, for_change: bool = False) -> Model:
    """The record of a key: the number, or `id=…`, `imsi=…`, `name=…` where the entity has them.

    `for_change` holds the row until the transaction ends, so that what is checked still holds when
    it is written (on SQLite the whole transaction is alone). Raises RegistryError if there is none,
    or more than one (in several environments).
    """
    all_rows = rows(entity)
    if for_change:
        all_rows = all_rows.select_for_update(of=("self",), no_key=True)
    found = list(all_rows.filter(**_condition(entity, key))[:2])
    if not found:
        raise RegistryError(f"There is no {entity.name} {_shown(key)}.")
    if len(found) > 1:
        raise RegistryError(
            f"More than one {entity.name} has {_shown(key)}, in several environments; give the "
            f"{entity.key}."
        )
    return found[0]


def page(entity: Entity, filters: Mapping[str, object], limit: int, after: int) -> list[Model]:
    """Up to `limit` rows whose key is above `after`, in the order of keys.

    Raises RegistryError for a filter that is no field, is secret or has a value it cannot have.
    """
    if not 1 <= limit <= MAX_PAGE:
        raise RegistryError(f"limit must be from 1 to {MAX_PAGE}.", "limit")
    conditions = dict(_filter(entity, name, value) for name, value in filters.items())
    return list(rows(entity).filter(pk__gt=after, **conditions).order_by("pk")[:limit])


def _filter(entity: Entity, name: str, value: object) -> tuple[str, object]:
    if name == entity.key:
        return "pk", _read(values.key, name, value)
    if name in entity.natural:
        found = _read(values.plain, name, "" if value is None else value)
        column = entity.natural[name]
        return (column, found) if found else (f"{column}__isnull", True)
    field = entity.fields.get(name)
    if field is None or field.secret or field.add_only:
        names = [field.name for field in entity.fields.values() if not field.secret]
        raise RegistryError(
            f"{entity.name} cannot be filtered by {name[:64]!r}; "
            f"use {', '.join([entity.key, *(n for n in names if n != 'opening_balance')])}.",
            name[:64],
        )
    wanted = read_value(field, value)
    return (f"{field.column}__isnull", True) if wanted is None else (field.column, wanted)


def _condition(entity: Entity, key: str | int) -> dict[str, object]:
    name, mark, value = str(key).partition("=")
    if not mark:
        return {"pk": _read(values.key, f"The key of {entity.name}", key, _forms(entity))}
    name = name.strip()
    if name == entity.key:
        return {"pk": _read(values.key, name, value)}
    if name not in entity.natural:
        raise RegistryError(f"{name[:64]!r} is no key of {entity.name}; {_forms(entity)}.")
    return {entity.natural[name]: _read(values.text(255), name, value)}


def _forms(entity: Entity) -> str:
    others = " or ".join(f"{name}=…" for name in entity.natural)
    return f"give its {entity.key}{others and f', or {others}'}"


def _read(read: values.Reader, name: str, value: object, hint: str = "") -> object:
    try:
        return read(value)
    except ValueError as error:
        raise RegistryError(f"{name} {error}{hint and f'; {hint}'}.", name) from None


def _shown(key: str | int) -> str:
    text = str(key)
    return text if len(text) <= 80 else f"{text[:80]}…"
