"""Columns and constraints that the tables of the registry share."""

from decimal import Decimal
from typing import Any

from django.db import models
from django.db.models import Q

from espf.registry.values import MONEY_LIMIT, MONEY_PLACES


def one_of(table: str, column: str, values: tuple[Any, ...]) -> models.CheckConstraint:
    """A column holds one of these values."""
    return models.CheckConstraint(
        condition=Q(**{f"{column}__in": list(values)}), name=f"{table}_{column}"
    )


def money_fits(table: str, column: str) -> models.CheckConstraint:
    """An amount is one, and below the limit."""
    # On SQLite text sorts above every number, on PostgreSQL NaN does: both are refused as well.
    fits = Q(**{f"{column}__gt": -MONEY_LIMIT, f"{column}__lt": MONEY_LIMIT})
    return models.CheckConstraint(condition=fits, name=f"{table}_{column}")


def money(**options: Any) -> "models.DecimalField[Decimal, Decimal]":
    """An amount with 5 places."""
    return models.DecimalField(max_digits=15, decimal_places=MONEY_PLACES, **options)


def flag(default: str = "N") -> "models.CharField[str, str]":
    """Y or N."""
    return models.CharField(max_length=1, db_default=default)


def text(length: int = 255) -> "models.CharField[str, str]":
    """Text, empty unless given."""
    return models.CharField(max_length=length, db_default="", blank=True)


def encrypted() -> "models.TextField[str, str]":
    """`SecretBox` ciphertext, empty unless given."""
    return models.TextField(db_default="", blank=True)


def environment() -> "models.ForeignKey[Any, Any]":
    """The tenant, number 1 unless given."""
    # No index of its own: the unique keys of each table begin with it.
    return models.ForeignKey(
        "espf_registry.Environment",
        models.PROTECT,
        db_column="i_env",
        db_default=1,
        db_index=False,
    )
