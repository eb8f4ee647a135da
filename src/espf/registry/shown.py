"""Values as records show them."""

from datetime import date
from decimal import Decimal

Shown = str | int | float | bool | None


def number(amount: Decimal | None) -> float | None:
    """An amount as a JSON number: 15 digits at most, so it holds them exactly."""
    return None if amount is None else float(amount) + 0.0  # turns -0 into 0


def day(value: date | None) -> str | None:
    """A date as text."""
    return None if value is None else value.isoformat()
