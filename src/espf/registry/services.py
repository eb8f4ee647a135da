"""Add, update, remove, show and list records: what CLI, API and console call.

KEY is the numeric `i_…` key, or `id=…`, `imsi=…`, `name=…`. Each call is one transaction (or a
savepoint of one that is open). All raise RegistryError for what the registry refuses and
StorageError for what the database cannot do.
"""

from collections.abc import Mapping

from django.db.models import Model, ProtectedError

from espf.errors import RegistryError, StorageError
from espf.registry import belonging_checks, checks, service_checks
from espf.registry.entity import Entity
from espf.registry.fields import entity_of, read_fields
from espf.registry.lookup import find, page
from espf.registry.models import Account, Customer, SimCard
from espf.registry.records import record
from espf.registry.sealing import secret_box
from espf.registry.shown import Shown
from espf.registry.storage import forget_statuses, one_change, reading
from espf.registry.tables import table
from espf.registry.values import Value

Record = dict[str, Shown]


def add(entity: str, fields: Mapping[str, object]) -> Record:
    """Store a new record and return it. An account's `imsi` gives it that card."""
    kind = entity_of(entity)
    with one_change():
        return record(find(kind, add_row(kind, fields)))


def update(entity: str, key: str | int, fields: Mapping[str, object]) -> Record:
    """Change fields of a record and return it; a value it has already is not written.

    An account's `imsi` swaps its card; empty takes it away. Closed records cannot be reopened.
    """
    kind = entity_of(entity)
    with one_change():
        row = find(kind, key, for_change=True)
        update_row(kind, row, fields)
        return record(find(kind, row.pk))


def remove(entity: str, key: str | int) -> Record:
    """Delete a record and return what it was; one that others need is refused."""
    kind = entity_of(entity)
    with one_change():
        row = find(kind, key, for_change=True)
        gone = record(row)
        _check_unused(row)
        try:
            kind.rows().filter(pk=row.pk).delete()
            if isinstance(row, Account):
                forget_statuses(row.pk)
        except ProtectedError as error:
            raise RegistryError(_needed_by(kind, row.pk, error)) from None
        return gone


def show(entity: str, key: str | int) -> Record:
    """The record of a key."""
    with reading():
        return record(find(entity_of(entity), key))


def list_(
    entity: str, filters: Mapping[str, object] | None = None, limit: int = 100, after: int = 0
) -> list[Record]:
    """Records whose fields have these values, by key, at most `limit` with a key above `after`."""
    with reading():
        return [record(row) for row in page(entity_of(entity), filters or {}, limit, after)]


def add_row(kind: Entity, fields: Mapping[str, object]) -> int:
    """Store a new row inside the caller's transaction; returns its key."""
    values = read_fields(kind, fields, adding=True)
    for name in kind.required:
        if kind.fields[name].column not in values:
            raise RegistryError(f"{kind.name} needs {name}.", name)
    if kind.model is Account:
        checks.new_account(values)
    elif kind.model is SimCard:
        checks.card(None, values)
    else:
        belonging_checks.new(kind.model, values)
        service_checks.new(kind.model, values)
    _seal(kind, values)
    return table(kind.model).insert(values)


def update_row(kind: Entity, row: Model, fields: Mapping[str, object]) -> None:
    """Write what differs, in one statement, inside the caller's transaction."""
    values = read_fields(kind, fields, adding=False)
    match row:
        case Account():
            checks.changed_account(row, values)
        case Customer():
            checks.changed_customer(row, values)
        case SimCard():
            checks.card(row, values)
        case _:
            belonging_checks.changed(row, values)
            service_checks.changed(row, values)
    changed = {name: value for name, value in values.items() if _differs(kind, row, name, value)}
    _seal(kind, changed)
    if changed:
        table(kind.model).update(row.pk, changed)


def _secrets(kind: Entity) -> set[str]:
    return {field.column for field in kind.fields.values() if field.secret}


def _differs(kind: Entity, row: Model, name: str, value: Value) -> bool:
    present = getattr(row, name)
    if name not in _secrets(kind) or not present:
        return bool(present != value)
    try:
        return secret_box().decrypt(present) != value
    except StorageError:  # written by another key or a bare shell: replaced by what is given now
        return True


def _seal(kind: Entity, values: dict[str, Value]) -> None:
    for name in _secrets(kind) & values.keys():
        if text := values[name]:
            values[name] = secret_box().encrypt(str(text))


def _check_unused(row: Model) -> None:
    if isinstance(row, SimCard) and row.status == "used":
        raise RegistryError(
            f"SIM card {row.imsi} is in use by an account: take it away there first "
            "(imsi= on update)."
        )


def _needed_by(kind: Entity, key: int, error: ProtectedError) -> str:
    users = sorted({f"{type(user).__name__} {user.pk}" for user in error.protected_objects})
    more = f" and {len(users) - 3} more" if len(users) > 3 else ""
    return f"{kind.name} {key} is still in use by {', '.join(users[:3])}{more}; remove those first."
