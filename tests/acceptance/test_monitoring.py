"""The installed commands as monitoring sees them: metrics of `serve` and `instance`, their logs."""

import json
import re
import socket
from pathlib import Path

import pytest

from cli_rig import KEY, Installation, handlers_toml, until
from metrics_rig import Scrape, ask, scrape

LABELS = {"instance": "east", "handler": "hss"}


@pytest.fixture
def installed(tmp_path: Path) -> Installation:
    made = Installation(tmp_path)
    made.environment |= {"ESPF_INSTANCE_NAME": "east", "ESPF_LOG_FORMAT": "json"}
    made.ok("apply", made.write("h.toml", handlers_toml()))  # nobody listens there
    return made


def tried(found: Scrape) -> bool:
    key = ("espf_attempts_total", frozenset({**LABELS, "outcome": "retry"}.items()))
    return found.samples.get(key, 0) >= 1


def test_serve_tells_of_its_engine_on_both_sides(installed: Installation) -> None:
    more = {"ESPF_METRICS": "127.0.0.1:0", "ESPF_ADMIN_PASSWORD": "correct-horse-9"}
    with installed.running("serve", "--port", "0", **more) as (_, line):
        web, engine = re.findall(r"http://[0-9.:]+/", line)
        installed.ok("events", "emit", "Account/Blocked", "i_account=7", "curr_blocked=Y")
        until(lambda: tried(scrape(f"{engine}metrics")), "the engine's own counters")
        until(lambda: tried(scrape(f"{web}metrics")), "the counters of the fleet")
        found = scrape(f"{web}metrics")
        assert found("espf_instances") == 1
        assert found("espf_lanes_held", **LABELS) == 64
        assert found("espf_parked_events", handler="hss") == 1
        for path in ("healthz", "readyz"):
            assert ask(web + path).status == ask(engine + path).status == 200


def test_every_line_of_the_log_is_an_event_with_its_instance_and_no_secret(
    installed: Installation,
) -> None:
    with installed.running("instance", "--metrics", "127.0.0.1:0") as (_, line):
        engine = re.findall(r"http://[0-9.:]+/", line)[0]
        numbers = [f"i_account={number}" for number in range(6)]
        for number in numbers:
            installed.ok("events", "emit", "Account/Blocked", number, "curr_blocked=a-body-word")
        until(lambda: "breaker.opened" in told(installed), "an open breaker")
        assert scrape(f"{engine}metrics")("espf_breaker_open", handler="hss") in (0, 1)
    text = told(installed)
    events = [json.loads(one) for one in text.splitlines()]
    assert {"instance.started", "handler.started", "breaker.opened", "instance.stopped"} <= {
        one["event"] for one in events
    }
    for one in events:
        assert re.fullmatch(r"[a-z]+\.[a-z_]+", one["event"])
        assert one["instance"] == "east"
        assert one["timestamp"].endswith("Z")
        assert one["level"] in ("info", "warning", "error")
        if one["event"].startswith(("handler.", "breaker.", "lanes.", "event.")):
            assert one["handler"] == "hss"
    assert KEY not in text
    assert "a-body-word" not in text


def told(installed: Installation) -> str:
    return (installed.folder / "instance.log").read_text("utf-8")


def test_an_address_in_use_is_told_before_anything_is_done(installed: Installation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        done = installed.run("instance", "--metrics", place)
    assert done.returncode == 1
    assert "Address already in use" in done.stderr
    assert "--metrics" in done.stderr
    assert done.stdout == ""
    done = installed.run("instance", "--metrics", "9464")
    assert done.returncode == 1
    assert "HOST:PORT" in done.stderr
