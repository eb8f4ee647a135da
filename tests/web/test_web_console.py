"""The console with Django's client: login, throttling, pages, health checks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import postgres_rig
from cli_rig import ENGINES, Installation, installation
from espf.database_url import PostgresUrl
from espf.site.start import start

PASSWORD = "correct-horse-9"


@pytest.fixture(params=ENGINES)
def installed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    with installation(tmp_path, request.param) as made:
        yield made


@pytest.fixture
def client(installed: Installation, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    start(installed.url)
    from django.conf import settings
    from django.core.cache import cache
    from django.db import connections
    from django.test import Client

    from espf.site.users import create_user

    monkeypatch.setattr(
        settings, "PASSWORD_HASHERS", ["django.contrib.auth.hashers.MD5PasswordHasher"]
    )
    cache.clear()
    create_user("ann", PASSWORD)
    yield Client(SERVER_NAME="localhost", enforce_csrf_checks=False, raise_request_exception=False)
    connections.close_all()


def log_in(client: Any, password: str = PASSWORD) -> Any:
    return client.post("/login/", {"username": "ann", "password": password})


@pytest.mark.parametrize("address", ["/", "/events/1/"])
def test_pages_ask_for_a_login_first(client: Any, address: str) -> None:
    assert client.get(address).headers["location"] == f"/login/?next={address}"


def test_dashboard_and_details_show_events_and_no_secret(
    client: Any, installed: Installation
) -> None:
    from cli_rig import KEY, handlers_toml

    installed.ok("apply", installed.write("h.toml", handlers_toml()))
    installed.ok("events", "emit", "Account/Blocked", "i_account=7", "curr_blocked=<b>Y")
    assert log_in(client).headers["location"] == "/"
    page = client.get("/").content.decode()
    assert "Account/Blocked" in page
    assert "account:7" in page
    assert "queued" in page
    assert KEY not in page
    page = client.get("/events/1/").content.decode()
    assert "&lt;b&gt;Y" in page
    assert client.get("/events/2/").status_code == 404
    assert client.get(f"/events/{2**70}/").status_code == 404


def test_five_failures_a_minute_are_enough(client: Any) -> None:
    for _ in range(5):
        assert "correct username" in log_in(client, "wrong").content.decode()
    page = log_in(client)
    assert page.status_code == 200
    assert "Too many failed attempts" in page.content.decode()
    assert client.post("/login/", {"username": "bob", "password": "x"}).status_code == 200


def test_logging_out_takes_a_post_and_ends_the_session(client: Any) -> None:
    log_in(client)
    assert client.get("/logout/").status_code == 405
    client.post("/logout/")
    assert client.get("/").status_code == 302


def test_forms_are_refused_without_their_token(client: Any) -> None:
    client.handler.enforce_csrf_checks = True
    assert log_in(client).status_code == 403


def test_nothing_but_our_style_sheet_is_allowed(client: Any) -> None:
    policy = client.get("/login/").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert client.get("/style.css").headers["content-type"].startswith("text/css")


def test_health_and_readiness_tell_the_database_apart(client: Any, installed: Installation) -> None:
    assert client.get("/healthz").content == b"ok\n"
    assert client.get("/readyz").status_code == 200
    log_in(client)
    from django.db import connections

    connections.close_all()
    take_away(installed)
    probe = type(client)(SERVER_NAME="localhost")
    assert probe.get("/healthz").status_code == 200
    ready = probe.get("/readyz")
    assert ready.status_code == 503
    assert str(installed.folder) not in ready.content.decode()
    page = client.get("/")
    assert page.status_code == 503
    assert "does not answer" in page.content.decode()


def take_away(installed: Installation) -> None:
    if isinstance(installed.url, PostgresUrl):
        name = installed.url.parts["dbname"]
        postgres_rig.server().execute(f'ALTER DATABASE "{name}" RENAME TO "{name}_away"')
        return
    installed.database.rename(installed.folder / "away.db")


def test_names_and_passwords_of_users_are_checked(client: Any) -> None:
    from espf.errors import ConfigError
    from espf.site.users import create_user, first_admin

    for name, password in (
        ("ann", PASSWORD),
        ("a\0b", PASSWORD),
        ("x" * 200, PASSWORD),
        ("b", "1"),
    ):
        with pytest.raises(ConfigError):
            create_user(name, password)
    assert first_admin(None) is None
