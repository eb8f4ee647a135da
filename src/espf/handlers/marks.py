"""Marks for the fields of a settings model: what an option needs that pydantic has no word for.

They go into `Annotated[…]`; `espf.handlers.options` reads them, to check and to describe.
"""

from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from espf.events.catalogue import shown


@dataclass(frozen=True, slots=True)
class NeededWhen:
    """Marks an option that must be set while another one has this value (None: any value)."""

    option: str
    """The other option's handbook name."""
    value: str | None = None

    def __str__(self) -> str:
        """As in "EventSender.AuthMethod is Basic"."""
        return f"{self.option} is {'set' if self.value is None else self.value}"


class Choices:
    """Marks an option that has one of these values, and checks it; a form shows a drop-down."""

    __slots__ = ("values",)

    def __init__(self, *values: str | int) -> None:
        self.values = values

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def check(self, value: str | int) -> str | int:
        """Return the value. Raises ValueError that says which ones there are."""
        if value in self.values:
            return value
        choices = ", ".join(str(choice) for choice in self.values)
        one_of = f"one of {choices}" if len(self.values) > 1 else choices
        raise ValueError(f"must be {one_of}, not {shown(str(value))}.")


@dataclass(frozen=True, slots=True)
class Kind:
    """Names what the option holds, where the Python type says too little: "type patterns"."""

    text: str


class Lines:
    """Marks a text that may have several lines, and tabs."""
