"""`espf serve`: first start, console, graceful and sudden ends."""

import contextlib
import os
import re
import signal
from collections.abc import Iterator
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, build_opener, urlopen

import pytest

from cli_rig import ENGINES, Installation, installation, until
from espf.database_url import SqliteUrl

PASSWORD = "correct-horse-9"


@pytest.fixture(params=ENGINES)
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    with installation(tmp_path, request.param, migrated=False) as made:
        yield made


@contextlib.contextmanager
def serving(fresh: Installation) -> Iterator[tuple[int, str]]:
    words = ["serve", "--port", "0"]
    with fresh.running(*words, ESPF_ADMIN_PASSWORD=PASSWORD) as (process, line):
        found = re.search(r"http://[0-9.]+:\d+", line)
        assert found, (line, (fresh.folder / "serve.log").read_text())
        yield process.pid, found[0]


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(number) for number in text.split()]


def is_running(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    return False


def answers(url: str) -> bool:
    try:
        with urlopen(f"{url}/healthz", timeout=10) as answer:
            return bool(answer.status == 200)
    except URLError:
        return False


def test_the_first_start_makes_database_and_admin_and_one_can_log_in(fresh: Installation) -> None:
    with serving(fresh) as (pid, url):
        assert answers(url)
        browser = build_opener(HTTPCookieProcessor(CookieJar()))
        page = browser.open(f"{url}/").read().decode()
        token = re.search(r'csrfmiddlewaretoken" value="(\w+)"', page)
        assert token
        form = {"csrfmiddlewaretoken": token[1], "username": "admin", "password": PASSWORD}
        page = browser.open(f"{url}/login/", urlencode(form).encode()).read().decode()
        assert "Newest events" in page
        assert browser.open(f"{url}/readyz").status == 200
        maps = Path(f"/proc/{pid}/maps").read_text()
        assert "django" not in maps
        (web,) = children(pid)
        os.kill(web, signal.SIGKILL)
        again = until(lambda: [one for one in children(pid) if one != web], "another web side")
        until(lambda: answers(url), "its answer")
        assert is_running(again[0])
        os.kill(pid, signal.SIGTERM)
        until(lambda: not is_running(pid), "the end")
    assert not is_running(again[0])
    assert "Password, shown only now" not in (fresh.folder / "serve.log").read_text()


def test_the_web_side_dies_with_a_killed_parent_and_the_lock_is_free_again(
    fresh: Installation,
) -> None:
    with serving(fresh) as (pid, _):
        (web,) = children(pid)
        if isinstance(fresh.url, SqliteUrl):  # one engine works on a file
            assert str(pid) in fresh.run("serve", "--port", "0").stderr
        os.kill(pid, signal.SIGKILL)
        until(lambda: not is_running(web), "the end of the web side")
    with fresh.running("instance") as (_, line):
        assert line.startswith("ready")
