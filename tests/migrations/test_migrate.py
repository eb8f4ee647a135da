"""Bringing a database up to date, and refusing what cannot be."""

import os
import resource
import sqlite3
import subprocess
import sys

import pytest
from django.core.management import call_command
from django.db import connections
from django.db.migrations.loader import MigrationLoader

import registry_rig  # noqa: F401 - brings Django up
from espf.capture.install import is_current
from espf.database_url import SqliteUrl
from espf.errors import ConfigError, StorageError
from espf.eventlog.version import SCHEMA_VERSION
from espf.registry.services import list_
from espf.schema.migrate import migrate
from espf.site.start import start


@pytest.fixture(autouse=True)
def close_connections():
    yield
    connections.close_all()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "espf.db"


def test_a_new_database_gets_tables_triggers_and_environment_1(path):
    done = migrate(f"sqlite:///{path}")
    assert "applied espf_registry 0001_initial" in done
    assert done[-1].endswith("triggers")
    assert list_("environment") == [{"i_env": 1, "name": "default"}]
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert is_current(connection)
    connection.close()


def test_a_new_file_is_for_its_owner_only_and_an_old_one_keeps_its_mode(path):
    migrate(f"sqlite:///{path}")
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o660)
    migrate(f"sqlite:///{path}")
    assert path.stat().st_mode & 0o777 == 0o660


def test_a_second_time_there_is_nothing_to_do(path):
    migrate(f"sqlite:///{path}")
    assert migrate(f"sqlite:///{path}") == []


def test_triggers_that_got_lost_come_back(path):
    migrate(f"sqlite:///{path}")
    connection = sqlite3.connect(path)
    connection.execute("DROP TRIGGER espf_registry_card_freed")
    connection.close()
    assert [done.split()[0] for done in migrate(f"sqlite:///{path}")] == ["installed"]


def test_the_models_have_no_change_without_a_migration(path):
    migrate(f"sqlite:///{path}")
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_a_registry_of_schema_3_keeps_its_rows_and_gives_no_key_out_twice(path):
    start(SqliteUrl(path))
    call_command("migrate", "espf_schema", "0003", verbosity=0)
    call_command("migrate", "espf_registry", "0001", verbosity=0)
    connections.close_all()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("INSERT INTO customers (name) VALUES ('Ann')")
    connection.execute("INSERT INTO products (name) VALUES ('LTE')")
    connection.execute(
        "INSERT INTO accounts (i_customer, id, i_product) VALUES (1, '1', 1), (1, '2', 1)"
    )
    connection.execute("DELETE FROM accounts WHERE i_account = 2")
    migrate(f"sqlite:///{path}")
    assert connection.execute(
        "SELECT id, i_product, service_flags, i_vd_plan FROM accounts"
    ).fetchall() == [("1", 1, "", None)]
    assert connection.execute("SELECT addon_priority FROM products").fetchall() == [(0,)]
    connection.execute("INSERT INTO accounts (i_customer, id) VALUES (1, '3')")
    assert connection.execute("SELECT max(i_account) FROM accounts").fetchone() == (3,)
    connection.close()


def test_each_migration_of_ours_has_its_schema_version():
    """By the version alone every command refuses a newer database: raise it with each migration."""
    migrations = {
        1: {"espf_registry 0001_initial", "espf_schema 0001_initial"},
        2: {"espf_schema 0002_instances"},
        3: {"espf_schema 0003_provisioning"},
        4: {"espf_registry 0004_services", "espf_schema 0004_services"},
        5: {"espf_registry 0005_belongings", "espf_schema 0005_belongings"},
        6: {"espf_schema 0006_groups"},
        7: {"espf_schema 0007_dispatch"},
    }
    disk = MigrationLoader(None).disk_migrations
    ours = {f"{app} {name}" for app, name in disk if app.startswith("espf_")}
    assert ours == set().union(*migrations.values())
    assert max(migrations) == SCHEMA_VERSION


def test_a_database_of_a_newer_release_is_refused_untouched(path):
    migrate(f"sqlite:///{path}")
    connection = sqlite3.connect(path)
    connection.execute(
        "INSERT INTO django_migrations (app, name, applied)"
        " VALUES ('espf_registry', '0099_future', '2030-01-01')"
    )
    connection.commit()
    with pytest.raises(StorageError, match=r"newer espf \(espf_registry 0099_future\)"):
        migrate(f"sqlite:///{path}")
    connection.execute("DELETE FROM django_migrations WHERE name = '0099_future'")
    connection.execute("UPDATE espf_meta SET value = 99 WHERE name = 'schema_version'")
    connection.commit()
    connection.close()
    with pytest.raises(StorageError, match="newer espf"):
        migrate(f"sqlite:///{path}")


def test_a_file_that_is_no_database_is_named(path):
    path.write_text("not a database, but long enough to be looked at" * 100)
    with pytest.raises(StorageError, match=r"espf\.db.*not an SQLite database"):
        migrate(f"sqlite:///{path}")
    assert path.read_text().startswith("not a database")


def test_a_database_of_another_program_is_left_alone(path):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    with pytest.raises(StorageError, match="another program"):
        migrate(f"sqlite:///{path}")


def test_a_missing_folder_and_a_folder_in_place_of_a_file_are_named(tmp_path):
    with pytest.raises(StorageError, match="does not exist"):
        migrate(f"sqlite:///{tmp_path}/none/espf.db")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match="is a folder"):
        migrate(f"sqlite:///{tmp_path}/folder")
    with pytest.raises(ConfigError):
        migrate("oracle://host/espf")


def run(code, path, *before, **options):
    return subprocess.Popen(
        [*before, sys.executable, "-c", code, f"sqlite:///{path}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


SAY_ERROR = (
    "import sys\nfrom espf.errors import StorageError\n"
    "from espf.schema.migrate import migrate\n"
    "try: migrate(sys.argv[1])\nexcept StorageError as error: print(error)"
)


def test_a_read_only_file_is_refused(path):
    migrate(f"sqlite:///{path}")
    connections.close_all()
    connection = sqlite3.connect(path)
    connection.execute("DROP TRIGGER espf_registry_card_freed")
    connection.close()
    path.chmod(0o444)
    # Root writes even what is read-only, unless it lays that power down.
    humbly = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"]
    said, errors = run(SAY_ERROR, path, *(humbly if os.geteuid() == 0 else [])).communicate()
    assert "read-only" in said, errors
    assert str(path) in said


def test_a_full_disk_is_said_and_a_later_try_succeeds(path):
    limit = 200_000  # bytes in a file: writing more fails, as on a full disk
    process = run(
        SAY_ERROR,
        path,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    said, errors = process.communicate()
    assert "disk" in said, errors
    assert str(path) in said
    assert migrate(f"sqlite:///{path}")


def test_two_processes_may_migrate_at_once(path):
    code = "import sys; from espf.schema.migrate import migrate; migrate(sys.argv[1])"
    started = [run(code, path) for _ in range(2)]
    for process in started:
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    assert migrate(f"sqlite:///{path}") == []
