"""Brings a database up to date: tables by Django's migrations, then the triggers.

What differs between the engines (who else may be at it, whose database it is) is in `places`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.core.management import call_command
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

from espf.capture.install import install, is_current, remove
from espf.database_url import DatabaseUrl, parse_database_url
from espf.errors import StorageError
from espf.eventlog.engines import open_session, translated
from espf.eventlog.housekeeping.partitions import ensure_partitions
from espf.eventlog.version import SCHEMA_VERSION
from espf.keyring import check_key
from espf.registry.sealing import DjangoRegister
from espf.schema.places import place_of
from espf.site.start import start

if TYPE_CHECKING:
    from espf.schema.places import Place


def migrate(url: str) -> list[str]:
    """Create or update the database; returns what was done, nothing if it was up to date.

    Two processes may call it at once. Raises ConfigError for a wrong address, StorageError for a
    database that cannot be written, is not ours or is of a newer release, CaptureError if the
    triggers cannot be made. Raises ConfigError also for another key than the database's.
    """
    database = parse_database_url(url).absolute
    place = place_of(database)
    place.check()
    start(database)
    # Alone from the first connection on: two that turn a new file to WAL at once do not wait.
    with _translated(database), place.alone():
        tables = place.tables()
        _refuse_foreign(place, tables)
        if "installation" in tables:
            check_key(database, DjangoRegister(), needed=False)
        done: list[str] = []
        if _pending() or not is_current(_raw()):
            with place.one_step():
                done = _apply()
        return done + _make_room(database)


def _make_room(database: DatabaseUrl) -> list[str]:
    """Partitions for the next events; an engine makes more ahead of need."""
    session = open_session(database)
    try:
        made = ensure_partitions(session)
    finally:
        session.close()
    return [f"made {made} partitions"] if made else []


def _apply() -> list[str]:
    pending = _pending()
    if pending:
        # A column's type cannot be changed, nor a table be rebuilt, while triggers speak of it.
        remove(_raw())
        call_command("migrate", verbosity=0, interactive=False)
    return [*(f"applied {name}" for name in pending), *install(_raw())]


def _pending() -> list[str]:
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label} {migration.name}" for migration, _ in plan]


def _raw() -> Any:
    """The driver's connection behind Django's."""
    connection.ensure_connection()
    return connection.connection


def _refuse_foreign(place: "Place", tables: set[str]) -> None:
    if not tables:
        return
    if "django_migrations" not in tables:
        raise StorageError(
            f"The database {place.url.shown} holds tables of another program. Name {place.own} of "
            "its own for espf in ESPF_DATABASE_URL."
        )
    loader = MigrationLoader(connection)
    unknown = [f"{app} {name}" for app, name in loader.applied_migrations.keys() - known(loader)]
    if unknown or _schema_version(tables) > SCHEMA_VERSION:
        what = ", ".join(sorted(unknown)[:3]) or f"schema {_schema_version(tables)}"
        raise StorageError(
            f"The database {place.url.shown} was written by a newer espf ({what}). "
            "Install that release, or restore a backup."
        )


def known(loader: MigrationLoader) -> set[tuple[str, str]]:
    """Migrations that this program has, those that a squashed one replaces included."""
    replaced = {
        name for migration in loader.disk_migrations.values() for name in migration.replaces
    }
    return set(loader.disk_migrations) | replaced


def _schema_version(tables: set[str]) -> int:
    if "espf_meta" not in tables:
        return 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT value FROM espf_meta WHERE name = 'schema_version'")
        row = cursor.fetchone()
    return int(row[0]) if row else 0


@contextmanager
def _translated(url: DatabaseUrl) -> Iterator[None]:
    with translated(url):
        try:
            yield
        except DatabaseError as error:
            # Django raises one from the driver's, which `translated` knows, and some on top of it.
            found: BaseException | None = error
            while isinstance(found, DatabaseError):
                found = found.__cause__ or found.__context__
            raise found or error from error
