"""One PostgreSQL server for a whole run of tests; each test has a copy of a migrated database.

The server starts at the first use (half a second) and ends with the run; a copy takes some 35 ms.
Import it as `postgres_rig`.
"""

import atexit
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache

import pytest
from django.db import connections

from espf.database_url import PostgresUrl
from espf.demo.postgres import TemporaryPostgres
from espf.errors import ConfigError
from espf.schema.migrate import migrate

_TEMPLATE = "espf_template"


@cache
def server() -> TemporaryPostgres:
    """The run's server; without the wheel the test is skipped, which CI does not allow."""
    try:
        made = TemporaryPostgres(durable=False)
    except ConfigError as error:
        pytest.skip(str(error))
    atexit.register(made.remove)
    made.start()
    return made


@contextmanager
def server_of(**settings: str) -> Iterator[TemporaryPostgres]:
    """A server of one's own, with settings that the others would not like."""
    server()  # or skip
    with TemporaryPostgres(durable=False, **settings) as made:
        yield made


def migrated(on: TemporaryPostgres) -> PostgresUrl:
    """A migrated database on such a server."""
    url = PostgresUrl(on.make_database("espf"))
    migrate(str(url))
    connections.close_all()
    return url


@contextmanager
def clone() -> Iterator[PostgresUrl]:
    """A migrated database of one's own, dropped afterwards whoever is still connected."""
    with _database(_template()) as url:
        yield url


@contextmanager
def empty() -> Iterator[PostgresUrl]:
    """A database without any table."""
    with _database(None) as url:
        yield url


@cache
def _template() -> str:
    url = server().make_database(_TEMPLATE)
    with ThreadPoolExecutor(1) as pool:  # Django refuses to work where an event loop runs
        pool.submit(_migrated, url).result()
    return _TEMPLATE


def _migrated(url: str) -> None:
    migrate(url)
    connections.close_all()  # nobody may be connected to what is copied


@contextmanager
def _database(template: str | None) -> Iterator[PostgresUrl]:
    name = f"test_{uuid.uuid4().hex[:12]}"
    url = PostgresUrl(server().make_database(name, template))
    try:
        yield url
    finally:
        server().execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
