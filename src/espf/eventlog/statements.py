"""Loads the named SQL statements: `-- name: what_it_does` before each, `:name` for parameters.

`sql/shared.sql` and `sql/operations.sql` hold for both engines; `sql/sqlite.sql` and
`sql/postgres.sql` have what must differ, under the same names.
"""

import re
from functools import cache
from importlib import resources

from espf.database_url import EngineName

FILES = ("shared", "operations", "")
"""Of both engines, and last the dialect's own."""
_PARAMETER = re.compile(r"(?<![:\w]):([a-z_]+)")


@cache
def statements(dialect: EngineName) -> dict[str, str]:
    """All statements of a dialect by name, in the words of its driver."""
    return {name: adapted(text, dialect) for name, text in as_written(dialect).items()}


@cache
def as_written(dialect: EngineName) -> dict[str, str]:
    """The same with `:name` for parameters."""
    found: dict[str, str] = {}
    folder = resources.files("espf.eventlog").joinpath("sql")
    for file in FILES:
        for part in folder.joinpath(f"{file or dialect}.sql").read_text().split("-- name: ")[1:]:
            name, _, text = part.partition("\n")
            lines = [line for line in text.splitlines() if not line.lstrip().startswith("--")]
            found[name.strip()] = "\n".join(lines).strip().rstrip(";")
    return found


def adapted(text: str, dialect: EngineName) -> str:
    """Turn `:name` into what the dialect's driver takes for a parameter."""
    if dialect == "sqlite":
        return text
    return _PARAMETER.sub(r"%(\1)s", text.replace("%", "%%"))
