"""What `espf doctor` finds on a PostgreSQL server that is not as it should be."""

from dataclasses import replace

import psycopg
import pytest

import postgres_rig
from espf.cli.diagnosis.postgres import check_instances, check_server, check_vitals
from espf.clock import SystemClock
from espf.eventlog.engines import open_operations, open_session
from espf.eventlog.vitals import OpenTransaction


@pytest.fixture
def url():
    with postgres_rig.clone() as made:
        yield made


@pytest.fixture
def shell(url):
    with psycopg.connect(url.conninfo, autocommit=True) as connection:
        yield connection


@pytest.fixture
def operations(url):
    with open_operations(url, SystemClock()) as opened:
        yield opened


class Ahead(SystemClock):
    """A machine whose clock is five minutes ahead."""

    def now_us(self):
        return super().now_us() + 300_000_000


def found(findings):
    return {one.check: (one.verdict, f"{one.message} {one.mend}") for one in findings}


def examined(url, clock=None):
    return found(check_server(url, clock or SystemClock()))


def set_here(shell, url, name, value):
    shell.execute(f'ALTER DATABASE "{url.parts["dbname"]}" SET {name} = {value}')


def test_a_sound_server_is_said_to_be_so(url):
    verdicts = {check: verdict for check, (verdict, _) in examined(url).items()}
    # the server of the tests gives up safety for speed
    assert verdicts.pop("durability") == "warn"
    assert set(verdicts.values()) == {"ok"}
    assert verdicts.keys() == {"database", "writing", "connections", "triggers", "clock"}


def test_what_is_not_safe_is_named_with_the_reason(url, shell):
    said = examined(url)["durability"][1]
    assert "fsync is off: a power loss may destroy the database" in said
    assert "synchronous_commit" not in said
    set_here(shell, url, "synchronous_commit", "off")
    said = examined(url)["durability"][1]
    assert "synchronous_commit is off: a crash of the server takes back changes" in said


def test_a_database_that_takes_no_write_is_wrong(url, shell):
    set_here(shell, url, "default_transaction_read_only", "on")
    verdict, said = examined(url)["writing"]
    assert verdict == "wrong"
    assert "standby" in said


def test_a_trigger_that_somebody_disabled_is_wrong(url, shell):
    shell.execute("ALTER TABLE accounts DISABLE TRIGGER espf_capture_accounts_update")
    verdict, said = examined(url)["triggers"]
    assert verdict == "wrong"
    assert "changes may raise no events. Run `espf migrate`" in said


def test_a_clock_that_differs_is_told(url):
    verdict, said = examined(url, Ahead())["clock"]
    assert verdict == "warn"
    assert "300 s behind this machine's" in said


def test_few_connections_left_are_told(url):
    with postgres_rig.server_of(max_connections="12") as server:
        given = postgres_rig.migrated(server)
        verdict, said = examined(given)["connections"]
        assert verdict == "warn"
        assert "of 12 connections are left" in said


def test_tables_of_another_version_and_a_missing_server_end_the_examination(url, shell):
    shell.execute("UPDATE espf_meta SET value = 99 WHERE name = 'schema_version'")
    assert [one.verdict for one in check_server(url, SystemClock())] == ["wrong"]


def test_the_oldest_open_transaction_that_writes_is_named(url, shell, operations):
    assert found(check_vitals(operations.vitals()))["transactions"][0] == "ok"
    with psycopg.connect(f"{url} application_name=forgetful") as other:
        other.execute("INSERT INTO customers (name) VALUES ('x')")
        vitals = operations.vitals()
        verdict, said = found(check_vitals(vitals))["transactions"]
        assert verdict == "ok"
        assert "forgetful" in said
    held = OpenTransaction("7", 4711, "forgetful", 31.0)
    verdict, said = found(check_vitals(replace(vitals, oldest_writer=held)))["transactions"]
    assert verdict == "warn"
    assert "31 s" in said
    assert "pg_terminate_backend(4711)" in said
    unseen = replace(vitals, oldest_writer=replace(held, age_s=None))
    assert "pg_monitor" in found(check_vitals(unseen))["transactions"][1]


def beat(session, name, version="0.1.0"):
    session.run("beat", {
        "token": name, "name": name, "host": "db1", "pid": 7, "service_ip": None,
        "version": version, "started_us": 1, "beat_us": 1, "unable": "[]", "metrics": "{}",
    })  # fmt: skip


def test_an_instance_lives_while_its_counter_moves(url, operations):
    session = open_session(url)
    verdicts = [one.verdict for one in check_instances(operations.vitals(), None, 0, needed=True)]
    assert verdicts == ["wrong"]
    for name, version in {"one": "0.1.0", "two": "0.2.0", "three": "0.3.0"}.items():
        beat(session, name, version)

    def later():
        beat(session, "one")
        beat(session, "two")
        return operations.vitals()

    alive, silent, mixed = check_instances(operations.vitals(), later, 0.4, needed=True)
    assert (alive.verdict, silent.verdict, mixed.verdict) == ("ok", "warn", "warn")
    assert alive.message.startswith("2 run: one (host db1, process 7)")
    assert "three on db1 is silent" in silent.message
    assert "several releases: 0.1.0, 0.2.0" in mixed.message
    session.close()
