"""Bad input to the installed command: a clear message, a status that says so, nothing written."""

import ctypes
import resource
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli_rig import ENGINES, Installation, handlers_toml, installation

PR_CAPBSET_DROP = 24
CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2


@pytest.fixture(params=ENGINES)
def installed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    with installation(tmp_path, request.param) as made:
        yield made


@pytest.fixture
def on_sqlite(tmp_path: Path) -> Installation:
    return Installation(tmp_path)


@pytest.fixture
def on_postgres(tmp_path: Path) -> Iterator[Installation]:
    with installation(tmp_path, "postgres") as made:
        yield made


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    for word in words:
        assert word in done.stdout + done.stderr


def count(installed: Installation, table: str) -> int:
    return int(installed.sql(f"SELECT count(*) FROM {table}")[0][0])


def test_apply_lists_every_problem_and_applies_nothing(installed: Installation) -> None:
    wrong = handlers_toml("htp://127.0.0.1").replace("Account/Blocked", "Account/Blokced")
    wrong = wrong.replace("APIVersion", "APIVersoin").replace("env:HSS_PASSWORD", "env:NOT_SET")
    right = handlers_toml().replace('"hss"', '"other"')
    done = installed.run("apply", installed.write("handlers.toml", right + wrong))
    refused(
        done,
        "4 problems",
        "EventSender.APIVersoin is not an option of EventSender; did you mean",
        "EventSender.URL must begin with http:// or https://",
        "Account/Blokced is not a known event type; did you mean Account/Blocked?",
        'handler "hss": EventSender.BasicAuth.Key is to come from the variable NOT_SET',
    )
    assert count(installed, "handler") == 0


def test_a_file_that_is_no_toml_is_named_with_its_line(installed: Installation) -> None:
    refused(installed.run("apply", installed.write("h.toml", "[[handler]\nx")), "h.toml", "line 1")


def test_a_bad_row_of_an_import_is_named_and_stops_nothing_else(installed: Installation) -> None:
    rows = ["imsi", "001010000000001", "12345", "x" * 1_100_000, "001010000000002"]
    done = installed.run(
        "registry", "import", "sim_card", installed.write("c.csv", "\n".join(rows))
    )
    refused(done, "line 3: imsi must have 6 to 15 digits", "line 4", "2 added, 0 updated, 2 failed")
    assert count(installed, "sim_cards") == 2
    done = installed.run("registry", "import", "customer", installed.write("c.jsonl", '{"name": '))
    refused(done, "line 1: not JSON")
    assert count(installed, "customers") == 0


def test_a_database_of_a_newer_release_is_left_alone(installed: Installation) -> None:
    installed.sql("UPDATE espf_meta SET value = 99 WHERE name = 'schema_version'")
    before = installed.stored()
    for words in (["migrate"], ["registry", "add", "customer", "name=x"], ["events", "list"]):
        refused(installed.run(*words), "newer espf")
    assert installed.stored() == before


def test_a_file_that_is_no_database_is_refused(on_sqlite: Installation) -> None:
    on_sqlite.database.write_bytes(b"This is a letter to my aunt. " * 200)
    refused(on_sqlite.run("events", "list"), "not an SQLite database")
    refused(on_sqlite.run("migrate"), "not an SQLite database")


def without_roots_rights() -> None:
    """Root may write anything; without these two capabilities it is a user like others."""
    libc = ctypes.CDLL(None)
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        libc.prctl(PR_CAPBSET_DROP, capability)


def test_a_read_only_database_is_refused_and_unchanged(on_sqlite: Installation) -> None:
    on_sqlite.database.chmod(0o444)
    on_sqlite.folder.chmod(0o555)
    add = ("registry", "add", "customer", "name=x")
    try:
        refused(on_sqlite.run(*add, preexec=without_roots_rights), "read")
        refused(on_sqlite.run("serve", preexec=without_roots_rights), "Permission denied")
    finally:
        on_sqlite.folder.chmod(0o755)
    assert count(on_sqlite, "customers") == 0


def test_a_full_disk_is_said_and_leaves_nothing_half_written(on_sqlite: Installation) -> None:
    rows = "\n".join(f'{{"name": "customer {n}", "email": "{"x" * 200}"}}' for n in range(2000))
    file = on_sqlite.write("many.jsonl", rows)
    limit = on_sqlite.database.stat().st_size + 65_536

    def no_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = on_sqlite.run("registry", "import", "customer", file, preexec=no_room)
    refused(done, "disk")
    connection = sqlite3.connect(on_sqlite.database)
    assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    connection.close()
    assert on_sqlite.run("registry", "add", "customer", "name=afterwards").returncode == 0


def test_wrong_use_exits_with_2_and_says_how_it_is_used(installed: Installation) -> None:
    done = installed.run("events", "list", "--limit", "many")
    assert done.returncode == 2
    assert "Usage: espf events list" in done.stderr


def test_a_server_that_is_away_or_takes_no_write_is_said(on_postgres: Installation) -> None:
    add = ("registry", "add", "customer", "name=x")
    name = on_postgres.url.parts["dbname"]
    on_postgres.sql(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    refused(on_postgres.run(*add), "read-only transaction", "standby")
    for address, words in {
        f"postgresql://espf:open-sesame@127.0.0.1:1/{name}": ("127.0.0.1:1", "check that it runs"),
        str(on_postgres.url).replace(name, "nowhere"): ('"nowhere" does not exist', "createdb"),
    }.items():
        for command in (
            add,
            ("migrate",),
            ("events", "list"),
            ("doctor",),
            ("instance",),
            ("web",),
        ):
            done = on_postgres.run(*command, ESPF_DATABASE_URL=address)
            refused(done, *words)
            assert "open-sesame" not in done.stdout + done.stderr
