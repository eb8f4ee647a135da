"""What monitoring asks of the web side: metrics of the fleet, readiness, the warning on screen."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from cli_rig import Installation, handlers_toml
from espf.database_url import PostgresUrl, SqliteUrl
from espf.eventlog import vitals
from espf.metrics.counts import InstanceCounts
from espf.site.start import start
from metrics_rig import Scrape
from postgres_rig import clone

TOKEN = "a-token-of-16-chars"


@pytest.fixture
def installed(tmp_path: Path) -> Installation:
    return Installation(tmp_path)


@pytest.fixture
def client(installed: Installation) -> Iterator[Any]:
    start(SqliteUrl(installed.database))
    from django.db import connections
    from django.test import Client

    yield Client(SERVER_NAME="localhost", raise_request_exception=False)
    connections.close_all()


def counts(delivered: int) -> InstanceCounts:
    made = InstanceCounts()
    made.of("hss").outcomes = {"delivered": delivered}
    made.of("hss").latency.add([1500] * delivered)
    made.of("hss").token_rate, made.of("hss").token_burst = 50.0, 100
    return made


def beat(installed: Installation, name: str, *, ago_s: float = 0.0, **told: object) -> None:
    now_us = time.time_ns() // 1000
    row = {
        "token": f"{name}/{now_us}", "name": name, "host": "here", "pid": 1, "version": "0",
        "started_us": now_us, "beat_us": now_us - int(ago_s * 1e6), "beats": 1, **told,
    }  # fmt: skip
    with closing(sqlite3.connect(installed.database, isolation_level=None)) as shell:
        names = ", ".join(row)
        shell.execute(f"INSERT INTO instance ({names}) VALUES (:{', :'.join(row)})", row)


def scraped(client: Any, **headers: str) -> Scrape:
    answer = client.get("/metrics", **headers)
    assert answer.status_code == 200
    return Scrape(answer.content.decode())


def test_the_counters_of_every_living_instance_are_told(
    client: Any, installed: Installation
) -> None:
    installed.ok("apply", installed.write("h.toml", handlers_toml()))
    beat(installed, "one", metrics=counts(3).to_json(), unable="[1]")
    beat(installed, "two", metrics=counts(4).to_json())
    beat(installed, "two", metrics=counts(5).to_json())
    beat(installed, "dead", ago_s=120, metrics=counts(9).to_json())
    beat(installed, "newer", metrics='{"of": "another release"}')
    found = scraped(client)
    labels = {"handler": "hss", "outcome": "delivered"}
    assert found("espf_attempts_total", instance="one", **labels) == 3
    assert found("espf_attempts_total", instance="two", **labels) == 9
    assert found("espf_attempt_seconds_count", instance="two", handler="hss") == 9
    assert not any(("instance", "dead") in labels for _, labels in found.samples)
    assert found("espf_instances") == 4
    assert found("espf_instance_start_time_seconds", instance="newer", version="0") > 0
    assert found("espf_handler_unusable", instance="one", handler="hss") == 1
    assert found("espf_lanes_free", handler="hss") == 64
    assert found("espf_bucket_tokens", handler="hss") == 100
    assert found("espf_database_up") == 1


def test_others_than_this_machine_need_the_token(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.conf import settings

    far = {"REMOTE_ADDR": "10.0.0.1"}
    bearer = {"HTTP_AUTHORIZATION": f"Bearer {TOKEN}"}
    assert client.get("/metrics", **far).status_code == 403
    assert client.get("/metrics", **far, **bearer).status_code == 403, "no token is set"
    monkeypatch.setattr(settings, "METRICS_TOKEN", SecretStr(TOKEN))
    assert client.get("/metrics", **far).status_code == 403
    assert client.get("/metrics", HTTP_X_FORWARDED_FOR="127.0.0.1").status_code == 403
    assert scraped(client, **far, **bearer)("espf_database_up") == 1
    assert client.post("/metrics").status_code == 405


def test_readyz_says_which_part_fails_and_no_path(client: Any, installed: Installation) -> None:
    from django.db import connections

    answer = client.get("/readyz")
    assert (answer.status_code, answer.content) == (200, b"database: ok\nkey: ok\n")
    connections.close_all()
    key = Path(f"{installed.database}.key")
    key.write_text("short")
    answer = client.get("/readyz")
    assert (answer.status_code, answer.content) == (503, b"database: ok\nkey: failed\n")
    key.unlink()
    installed.database.rename(installed.folder / "away.db")
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert b"database: failed\n" in answer.content
    assert str(installed.folder).encode() not in answer.content
    assert scraped(client)("espf_database_up") == 0


def test_a_transaction_held_open_is_shown_on_the_dashboard(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(vitals, "HELD_S", 0.2)
    monkeypatch.setenv("ESPF_SECRET_KEY", "k" * 40)
    with clone() as url:
        start(url)
        from django.contrib.auth import get_user_model
        from django.db import connections
        from django.test import Client

        client = Client(SERVER_NAME="localhost", raise_request_exception=False)
        client.force_login(get_user_model().objects.create_user("ann"))
        try:
            assert "A transaction of" not in client.get("/").content.decode()
            show_held(client, url)
            assert "A transaction of" not in client.get("/").content.decode()
        finally:
            connections.close_all()


def show_held(client: Any, url: PostgresUrl) -> None:
    with closing(psycopg.connect(url.conninfo, application_name="<billing>")) as held:
        held.execute("UPDATE espf_meta SET value = value WHERE name = 'schema_version'")
        time.sleep(0.3)
        page = client.get("/").content.decode()
        assert "A transaction of &lt;billing&gt;" in page
        assert f"pg_terminate_backend({held.info.backend_pid})" in page
        found = Scrape(client.get("/metrics").content.decode())
        assert found("espf_oldest_transaction_seconds") >= 0.3
