"""The demo's database: a file in its folder, a PostgreSQL server of its own, or an empty one given.

What the demo finds empty it leaves empty.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from espf.database_url import (
    DatabaseUrl,
    EngineName,
    PostgresUrl,
    SqliteUrl,
    parse_database_url,
)
from espf.errors import ConfigError

_OBJECTS = """
SELECT 'TABLE', CAST(CAST(oid AS regclass) AS text) FROM pg_class
WHERE relkind IN ('r', 'p') AND relnamespace = CAST(current_schema() AS regnamespace)
UNION ALL
SELECT 'FUNCTION', CAST(CAST(oid AS regprocedure) AS text) FROM pg_proc
WHERE proname LIKE 'espf\\_%' AND pronamespace = CAST(current_schema() AS regnamespace)
"""


class DemoDatabase(NamedTuple):
    """Where the demo plays."""

    url: DatabaseUrl
    described: str
    """For the spectator."""


@contextmanager
def demo_database(engine: EngineName, folder: Path, given: str | None) -> Iterator[DemoDatabase]:
    """An empty database; `given` is the address that is set here, if any.

    Raises ConfigError if a given one is not empty, or there is no PostgreSQL to be had,
    StorageError if it cannot be reached.
    """
    if engine == "sqlite":
        url = SqliteUrl(folder / "espf.db")
        yield DemoDatabase(url, f"An empty SQLite database: {url.path}")
    elif (found := _postgres(given)) is not None:
        with _emptied(found):
            yield DemoDatabase(found, f"An empty PostgreSQL database: {found.shown}")
    else:
        from espf.demo.postgres import TemporaryPostgres  # noqa: PLC0415

        with TemporaryPostgres() as server:
            url_of = PostgresUrl(server.make_database("espf"))
            yield DemoDatabase(url_of, f"A PostgreSQL server of its own, process {server.pid}")


def _postgres(given: str | None) -> PostgresUrl | None:
    found = parse_database_url(given) if given else None
    return found if isinstance(found, PostgresUrl) else None


@contextmanager
def _emptied(url: PostgresUrl) -> Iterator[None]:
    if _objects(url):
        raise ConfigError(
            f"The database {url.shown} is not empty. The demo plays in an empty one: name one in "
            "ESPF_DATABASE_URL, or unset it for a server of the demo's own."
        )
    try:
        yield
    finally:
        _objects(url, drop=True)


def _objects(url: PostgresUrl, *, drop: bool = False) -> int:
    """How many tables and functions of ours there are; they are dropped if told so."""
    from espf.eventlog.postgres.connection import connect, translated  # noqa: PLC0415

    with translated(url), connect(url, "espf demo", checked=False) as connection:
        found = connection.execute(_OBJECTS.encode()).fetchall()
        for kind, name in found if drop else ():
            connection.execute(f"DROP {kind} IF EXISTS {name} CASCADE".encode())
    return len(found)
