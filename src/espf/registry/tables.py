"""Plain statements for the registry's writes, where the ORM is too slow.

Measured: importing accounts through the ORM 480 rows/s, mostly building queries; through these
statements 8 times as many. The statements are built from the models, so there is one definition.
"""

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any, Generic, TypeVar, cast

from django.db import connection, models

from espf.registry.values import MONEY_PLACES, Value

M = TypeVar("M", bound=models.Model)


class Table(Generic[M]):
    """Reads one row, inserts one, updates one; in the transaction that is open."""

    def __init__(self, model: type[M]) -> None:
        meta = model._meta  # noqa: SLF001 - Django's documented name
        fields = meta.concrete_fields
        self._model = model
        self._columns = {field.attname: str(field.column) for field in fields}
        self._read = [_READERS.get(field.get_internal_type()) for field in fields]
        self._name = meta.db_table
        self._key = str(meta.pk.column)
        columns = ", ".join(map(_quoted, self._columns.values()))
        self._select = f"SELECT {columns} FROM {self._name}"  # noqa: S608 - the models' names

    def get(self, *, for_change: bool = False, **where: Value) -> M | None:
        """The row with these values (by the model's attributes), if there is one.

        `for_change` holds it until the transaction ends.
        """
        condition = " AND ".join(f"{_quoted(self._columns[name])} = %s" for name in where)
        held = " FOR NO KEY UPDATE" if for_change and connection.vendor == "postgresql" else ""
        found = _execute(f"{self._select} WHERE {condition} LIMIT 1{held}", list(where.values()))
        if found is None:
            return None
        values = [
            value if read is None or value is None else read(value)
            for read, value in zip(self._read, found, strict=True)
        ]
        return self._model.from_db("default", list(self._columns), values)

    def insert(self, values: Mapping[str, Value]) -> int:
        """Store a new row; the database fills in what is not given. Returns its key."""
        columns = ", ".join(_quoted(self._columns[name]) for name in values)
        marks = ", ".join(["%s"] * len(values))
        found = _execute(
            f"INSERT INTO {self._name} ({columns}) VALUES ({marks}) RETURNING {self._key}",  # noqa: S608 - the models' names
            list(values.values()),
        )
        assert found is not None
        return int(found[0])

    def update(self, key: int, values: Mapping[str, Value]) -> None:
        """Write these columns of a row, in one statement."""
        changes = ", ".join(f"{_quoted(self._columns[name])} = %s" for name in values)
        _execute(
            f"UPDATE {self._name} SET {changes} WHERE {self._key} = %s",  # noqa: S608 - the models' names
            [*values.values(), key],
        )


def table(model: type[M]) -> Table[M]:
    """The statements of a model's table."""
    return cast("Table[M]", _table(model))


@cache
def _table(model: type[models.Model]) -> Table[models.Model]:
    return Table(model)


def _execute(sql: str, parameters: list[Value]) -> tuple[Any, ...] | None:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchone() if cursor.description else None


def _quoted(column: str) -> str:
    return f'"{column}"'


def _money(value: object) -> Decimal:
    return round(value if isinstance(value, Decimal) else Decimal(repr(value)), MONEY_PLACES)


def _day(value: object) -> date:
    return value if isinstance(value, date) else date.fromisoformat(str(value)[:10])


_READERS: dict[str, Callable[[object], Value]] = {"DecimalField": _money, "DateField": _day}
