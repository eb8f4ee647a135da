"""The installed command: a change in the registry reaches a receiver, and operators see it."""

import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli_rig import ENGINES, ESPF, KEY, Installation, handlers_toml, installation, until


@pytest.fixture(params=ENGINES)
def installed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    with installation(tmp_path, request.param) as made:
        yield made


def received(installed: Installation) -> list[tuple[str, int]]:
    path = installed.folder / "received.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    events = [json.loads(line)["event"] for line in lines]
    return [(one["event_type"], one["variables"]["i_event"]) for one in events]


def test_a_change_reaches_the_receiver_and_is_seen_in_every_listing(
    installed: Installation,
) -> None:
    receiver = ["receiver", "--port", "0", "--auth", "Basic", "--user", "espf"]
    receiver += ["--record", "received.jsonl"]
    with installed.running(*receiver, ESPF_RECEIVER_KEY=KEY) as (_, line):
        file = installed.write("handlers.toml", handlers_toml(line.split()[-1] + "events"))
        applied = installed.ok("apply", file)
        assert 'handler "hss" is new' in applied
        assert "EventSender.BasicAuth.Key: set" in applied
        assert installed.ok("apply", file) == "Nothing to change.\n"
        with installed.running("instance", "--name", "one"):
            installed.ok("registry", "add", "customer", "name=Easy Call")
            installed.ok("registry", "add", "account", "id=79123456789", "i_customer=1")
            installed.ok("registry", "update", "account", "id=79123456789", "blocked=Y")
            until(lambda: len(received(installed)) == 2, "two requests")
            assert received(installed) == [("Account/New", 1), ("Account/Blocked", 2)]
            assert installed.ok("events", "retry", "2") == "1 to be sent again\n"
            until(lambda: len(received(installed)) == 3, "the repeat")
            assert received(installed)[2] == ("Account/Blocked", 2)
            checks = installed.record("doctor")
            assert {one["verdict"] for one in checks} <= {"ok", "warn"}, checks
        # what the engine committed last is there once it has ended
        listed = installed.record("events", "list")
        assert [(one["i_event"], one["status"]) for one in listed] == [
            (2, "finished"),
            (1, "finished"),
        ]
        shown = installed.record("events", "show", "2")
        assert shown["variables"]["curr_blocked"] == "Y"
        assert shown["attempts"][0]["code"] == 200
        assert shown["attempts"][0]["instance"] == "one"
    text = installed.ok("handlers", "show", "hss")
    assert KEY not in text
    assert "encrypted" not in text
    assert KEY.encode() not in installed.stored()


def test_without_a_receiver_events_wait_and_can_be_skipped(installed: Installation) -> None:
    installed.ok("apply", installed.write("handlers.toml", handlers_toml()))
    made = installed.record("events", "emit", "Account/Blocked", "i_account=7", "i_customer=1")
    assert made == {"i_event": 1}
    with installed.running("instance"):
        until(lambda: installed.record("events", "list", "--status", "retry"), "a first attempt")
        doctor = installed.run("doctor")
        assert doctor.returncode == 1
        assert "takes no connection" in doctor.stdout
    assert installed.ok("events", "retry", "--status", "retry") == "1 to be sent again\n"
    dry = installed.ok("events", "skip", "--handler", "hss", "--dry-run")
    assert "1; nothing was changed" in dry
    assert installed.ok("events", "skip", "1") == "1 skipped\n"
    assert installed.record("handlers", "list")[0]["backlog"] == 0


def test_doctor_connects_to_no_address_that_the_handler_may_not(installed: Installation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        networks = '"EventSender.AllowedNetworks" = "10.0.0.0/8"'
        installed.ok("apply", installed.write("handlers.toml", handlers_toml(url, extra=networks)))
        doctor = installed.run("doctor")
        assert doctor.returncode == 1
        assert "127.0.0.1 is outside the allowed networks" in doctor.stdout
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_doctor_says_that_a_handler_cannot_start(installed: Installation) -> None:
    options = '"EventSender.TLS.CAFile" = "/nowhere/ca.pem"'
    file = installed.write("handlers.toml", handlers_toml("https://127.0.0.1:9/", extra=options))
    installed.ok("apply", file)
    checks = json.loads(installed.run("doctor", "--json").stdout)
    assert ("wrong", "EventSender.TLS.CAFile: /nowhere/ca.pem cannot be used") in {
        (one["verdict"], one["message"].partition(": No such")[0]) for one in checks
    }


def test_tail_follows_attempts_until_interrupted(installed: Installation) -> None:
    installed.ok("apply", installed.write("handlers.toml", handlers_toml()))
    installed.ok("events", "emit", "Account/Blocked", "i_account=7")
    tail = subprocess.Popen(
        [ESPF, "events", "tail", "--json"],
        env=installed.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert tail.stdout is not None
    with installed.running("instance"):
        line = json.loads(tail.stdout.readline())
    tail.send_signal(signal.SIGINT)
    assert tail.wait(20) == 0
    tail.stdout.close()
    assert (line["event_type"], line["i_event"], line["handler"]) == ("Account/Blocked", 1, "hss")
    assert line["outcome"] == "retry"


def test_a_reader_that_goes_away_is_met_with_silence(installed: Installation) -> None:
    done = subprocess.run(
        f"{ESPF} registry list customer --json | true",
        shell=True,
        env=installed.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
