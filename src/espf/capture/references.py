"""Reads `references/*.toml`: what holds tables of the registry together, for every writer.

A bare sqlite3 shell checks no foreign key, and no foreign key knows of environments; so triggers
do, made for both engines from these files, one for each subject.

- `[table.X]`: `noun`, what a row is called in messages; `key`, which never changes, nor do the
  columns in `fixed`; `environment`, whether rows name theirs (`i_env`); `unique`, columns that no
  two rows have alike; `digits`, columns that hold 3 to 18 digits, so that they are a number as
  well; `bare`, for tables whose own triggers are in `integrity_*.sql`.
- `[[refers]]`: `column` of `table` holds a key of the table `to`, or nothing. When the row referred
  to is deleted, either `remove` those that refer to it, or `set` them so, or `refuse` and say this.
"""

import tomllib
from functools import cache
from importlib import resources
from typing import NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict, model_validator

from espf.capture.compiler import Trigger

_STRICT = ConfigDict(extra="forbid", frozen=True)
NOT_EMPTY = "The environment is not empty: remove what belongs to it first."


class Refers(BaseModel):
    """A column that holds a key of another table, or nothing."""

    model_config = _STRICT

    table: str
    column: str
    to: str
    remove: bool = False
    set: str | None = None
    refuse: str | None = None

    @model_validator(mode="after")
    def _one_way(self) -> "Refers":
        if sum(map(bool, (self.remove, self.set, self.refuse))) != 1:
            raise ValueError(f"{self.column}: give one of remove, set and refuse")
        return self


class Table(BaseModel):
    """What holds for the rows of one table."""

    model_config = _STRICT

    noun: str
    key: str
    environment: bool = False
    fixed: tuple[str, ...] = ()
    unique: tuple[tuple[str, ...], ...] = ()
    digits: tuple[str, ...] = ()
    bare: bool = False


class Reference(NamedTuple):
    """One reference, with what its triggers say."""

    refers: Refers
    target_key: str
    same_environment: bool
    """Whether both rows must be of one environment."""
    fixed: bool
    """Whether the column never changes."""
    missing: str
    """Said when there is no such row."""


class ReferenceCompiler(Protocol):
    """Turns these files into the triggers of one database."""

    def compile(self, tables: "Tables") -> list[Trigger]:
        """One or more for each reference and each table."""


class Tables(BaseModel):
    """All tables that are held together so."""

    model_config = _STRICT

    table: dict[str, Table] = {}
    refers: tuple[Refers, ...] = ()

    @property
    def whole(self) -> dict[str, Table]:
        """Tables that have no triggers of their own."""
        return {name: of for name, of in self.table.items() if not of.bare}

    @property
    def references(self) -> list[Reference]:
        """Every reference, of a row to its environment too."""
        environments = [
            Refers(table=name, column="i_env", to="environments", refuse=NOT_EMPTY)
            for name, of in self.whole.items()
            if of.environment
        ]
        return [self._reference(one) for one in (*environments, *self.refers)]

    def _reference(self, refers: Refers) -> Reference:
        of, target = self.table[refers.table], self.table[refers.to]
        same = of.environment and target.environment
        return Reference(
            refers,
            target.key,
            same,
            refers.column in fixed_columns(of),
            f"There is no such {target.noun}{' in this environment' if same else ''}.",
        )


def trigger_name(table: str, what: str) -> str:
    """Name of a trigger, the same on both engines."""
    return f"espf_registry_{table}_{what}"


def fixed_columns(of: Table) -> tuple[str, ...]:
    """Columns that never change."""
    return (of.key, *(("i_env",) if of.environment else ()), *of.fixed)


def never_change(columns: tuple[str, ...]) -> str:
    """Said to who tries to change them."""
    *others, last = columns
    return f"{', '.join(others)} and {last} never change." if others else f"{last} never changes."


@cache
def tables() -> Tables:
    """The tables of `references/*.toml`."""
    folder = resources.files("espf.capture").joinpath("references")
    files = sorted(folder.iterdir(), key=lambda file: file.name)
    parts = [Tables.model_validate(tomllib.loads(file.read_text("utf-8"))) for file in files]
    return Tables(
        table={name: of for part in parts for name, of in part.table.items()},
        refers=tuple(refers for part in parts for refers in part.refers),
    )
