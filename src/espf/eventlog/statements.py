"""Loads the named SQL statements: `-- name: what_it_does` before each, `:name` for parameters.

Most files hold for both engines; `sqlite.sql` and `postgres.sql` have what must differ,
under the same names. A list is written `IN (:name[])`.
"""

import re
from collections.abc import Iterable
from functools import cache, lru_cache
from importlib import resources

from espf.database_url import EngineName

FILES = ("shared", "operations", "search", "housekeeping", "vitals", "")
"""Of both engines, and last the dialect's own."""
_PARAMETER = re.compile(r"(?<![:\w]):([a-z_]+)")
_LIST = re.compile(r"IN \(:([a-z_]+)\[\]\)")


@cache
def statements(dialect: EngineName) -> dict[str, str]:
    """All statements of a dialect by name, in the words of its driver."""
    return {name: adapted(text, dialect) for name, text in as_written(dialect).items()}


@cache
def as_written(dialect: EngineName) -> dict[str, str]:
    """The same with `:name` for parameters."""
    return read_files("espf.eventlog", [file or dialect for file in FILES])


def read_files(package: str, files: Iterable[str]) -> dict[str, str]:
    """Statements of `sql/FILE.sql` of a package, by name and as they are written."""
    found: dict[str, str] = {}
    folder = resources.files(package).joinpath("sql")
    for file in files:
        for part in folder.joinpath(f"{file}.sql").read_text().split("-- name: ")[1:]:
            name, _, text = part.partition("\n")
            lines = [line for line in text.splitlines() if not line.lstrip().startswith("--")]
            found[name.strip()] = "\n".join(lines).strip().rstrip(";")
    return found


@lru_cache(512)
def adapted(text: str, dialect: EngineName) -> str:
    """Turn `:name` and `IN (:name[])` into what the dialect's driver takes."""
    if dialect == "sqlite":
        return lists_adapted(text, dialect)
    return _PARAMETER.sub(r"%(\1)s", lists_adapted(text.replace("%", "%%"), dialect))


def lists_adapted(text: str, dialect: EngineName) -> str:
    """Turn `IN (:name[])` alone into the dialect's: a JSON array's text, or an array."""
    if dialect == "sqlite":
        return _LIST.sub(r"IN (SELECT value FROM json_each(:\1))", text)
    return _LIST.sub(r"= ANY(:\1)", text)
