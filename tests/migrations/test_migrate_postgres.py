"""Bringing a PostgreSQL database up to date, and refusing what cannot be."""

import subprocess
import sys
import threading

import psycopg
import pytest
from django.core.management import call_command
from django.db import connections

import postgres_rig
import registry_rig  # noqa: F401 - brings Django up
from espf.database_url import PostgresUrl
from espf.errors import ConfigError, StorageError
from espf.registry.services import list_
from espf.schema.migrate import migrate
from espf.schema.places import MIGRATION_LOCK
from espf.site.start import start


@pytest.fixture(autouse=True)
def close_connections():
    yield
    connections.close_all()


@pytest.fixture
def empty():
    with postgres_rig.empty() as url:
        yield url


@pytest.fixture
def migrated():
    with postgres_rig.clone() as url:
        yield url


def shell(url, *statements):
    with psycopg.connect(url.conninfo, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def tables(url):
    with psycopg.connect(url.conninfo) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return {name for (name,) in rows}


def test_a_new_database_gets_tables_and_environment_1(empty):
    assert "applied espf_registry 0001_initial" in migrate(str(empty))
    assert list_("environment") == [{"i_env": 1, "name": "default"}]


def test_a_second_time_there_is_nothing_to_do(migrated):
    assert migrate(str(migrated)) == []


def test_a_registry_of_schema_3_keeps_its_rows_and_is_captured(empty):
    start(empty)
    call_command("migrate", "espf_schema", "0003", verbosity=0)
    call_command("migrate", "espf_registry", "0001", verbosity=0)
    connections.close_all()
    shell(
        empty,
        "INSERT INTO customers (name) VALUES ('Ann')",
        "INSERT INTO accounts (i_customer, id) VALUES (1, '1'), (1, '2')",
    )
    migrate(str(empty))
    shell(
        empty,
        "INSERT INTO capture_gate VALUES ('Subscriber/Name/Changed')",
        "UPDATE accounts SET firstname = 'Ann' WHERE city = '' AND i_master_account IS NULL",
    )
    with psycopg.connect(empty.conninfo) as connection:
        assert connection.execute("SELECT count(*) FROM event").fetchone() == (2,)


def test_a_database_of_a_newer_release_is_refused_untouched(migrated):
    shell(
        migrated,
        "INSERT INTO django_migrations (app, name, applied)"
        " VALUES ('espf_registry', '0099_future', '2030-01-01')",
    )
    with pytest.raises(StorageError, match=r"newer espf \(espf_registry 0099_future\)"):
        migrate(str(migrated))
    shell(
        migrated,
        "DELETE FROM django_migrations WHERE name = '0099_future'",
        "UPDATE espf_meta SET value = 99 WHERE name = 'schema_version'",
    )
    with pytest.raises(StorageError, match=r"newer espf \(schema 99\)"):
        migrate(str(migrated))


def test_a_database_of_another_program_is_left_alone(empty):
    shell(empty, "CREATE TABLE theirs (x bigint)")
    with pytest.raises(StorageError, match=r"another program.*a database of its own"):
        migrate(str(empty))
    assert tables(empty) == {"theirs"}


def test_what_cannot_be_finished_leaves_nothing(empty):
    """The last table's name is taken, by what is no table."""
    shell(empty, "CREATE VIEW event_default AS SELECT 1")
    with pytest.raises(StorageError, match="event_default"):
        migrate(str(empty))
    assert tables(empty) == set()
    shell(empty, "DROP VIEW event_default")
    assert migrate(str(empty))


def test_a_server_that_is_away_and_a_missing_database_are_named(empty):
    with pytest.raises(StorageError, match=r"127\.0\.0\.1:1.*check that it runs"):
        migrate("postgresql://espf@127.0.0.1:1/espf")
    with pytest.raises(StorageError, match=r"does not exist.*createdb"):
        migrate(str(empty).replace(empty.parts["dbname"], "nowhere"))
    with pytest.raises(ConfigError, match="libpq"):
        migrate("postgresql://no%escape/espf")


def test_a_user_without_rights_is_told_so(empty):
    shell(
        empty,
        "DROP ROLE IF EXISTS humble",
        "CREATE ROLE humble LOGIN",
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
    )
    with pytest.raises(StorageError, match=r"permission denied.*owner"):
        migrate(str(empty).replace("user=postgres", "user=humble"))


def test_a_standby_is_refused(empty):
    shell(empty, f'ALTER DATABASE "{empty.parts["dbname"]}" SET default_transaction_read_only = on')
    with pytest.raises(StorageError, match=r"read-only.*standby"):
        migrate(str(empty))


def test_a_password_is_never_repeated(empty):
    url = PostgresUrl(f"{empty} password=open-sesame options='-c no_such_setting=open-sesame'")
    with pytest.raises(StorageError) as refused:
        migrate(str(url))
    assert "open-sesame" not in str(refused.value)


def test_two_processes_may_migrate_at_once(empty):
    code = "import sys; from espf.schema.migrate import migrate; migrate(sys.argv[1])"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(empty)], stderr=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    for process in started:
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    assert migrate(str(empty)) == []


def test_a_migration_waits_for_one_that_is_under_way(migrated):
    with psycopg.connect(migrated.conninfo) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])
        second = threading.Thread(target=lambda: (migrate(str(migrated)), connections.close_all()))
        second.start()
        second.join(0.3)
        assert second.is_alive()
    second.join(10)
    assert not second.is_alive()
