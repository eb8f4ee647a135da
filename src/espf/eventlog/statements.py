"""Loads the named SQL statements: `-- name: what_it_does` before each, `:name` for parameters."""

from functools import cache
from importlib import resources


@cache
def statements(dialect: str) -> dict[str, str]:
    """All statements of a dialect by name: the shared ones, then the dialect's own."""
    found: dict[str, str] = {}
    folder = resources.files("espf.eventlog").joinpath("sql")
    for file in ("shared.sql", "operations.sql", f"{dialect}.sql"):
        for part in folder.joinpath(file).read_text().split("-- name: ")[1:]:
            name, _, text = part.partition("\n")
            lines = [line for line in text.splitlines() if not line.lstrip().startswith("--")]
            found[name.strip()] = "\n".join(lines).strip().rstrip(";")
    return found
