"""The installed command: search in pages, bulk repeats, replay, what is passed by, retention."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli_rig import ENGINES, ESPF, KEY, Installation, handlers_toml, installation, until


@pytest.fixture(params=ENGINES)
def installed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    with installation(tmp_path, request.param) as made:
        yield made


def emit(installed: Installation, event_type: str, *accounts: int) -> None:
    for account in accounts:
        installed.ok("events", "emit", event_type, f"i_account={account}")


def record_all(installed: Installation, status: str) -> None:
    """Every event ended so, and the cursors are behind them."""
    installed.sql(
        "INSERT INTO attempt (i_handler, i_event, attempt, outcome, status, started_us,"
        f" duration_us, request, answer, instance) SELECT h.i_handler, e.i_event, 1, 'rejected',"
        f" '{status}', 1, 1, '', '', '' FROM event AS e CROSS JOIN handler AS h"
    )
    installed.sql("UPDATE lane_cursor SET position = (SELECT max(i_event) FROM event)")


def test_pages_go_on_behind_a_line(installed: Installation) -> None:
    two = handlers_toml() + handlers_toml().replace('"hss"', '"pcrf"')
    installed.ok("apply", installed.write("handlers.toml", two))
    emit(installed, "Account/Blocked", 1, 2)

    first = installed.record("events", "list", "--limit", "3")
    second = installed.record("events", "list", "--limit", "3", "--before", "1:hss")

    seen = [(one["i_event"], one["handler"]) for one in first + second]
    assert seen == [(2, "hss"), (2, "pcrf"), (1, "hss"), (1, "pcrf")]
    assert installed.record("events", "list", "--before", "1") == []
    wrong = installed.run("events", "list", "--before", "x:hss")
    assert (wrong.returncode, "is no place" in wrong.stderr) == (2, True)


def test_many_are_counted_and_sent_again_by_any_filter(installed: Installation) -> None:
    installed.ok("apply", installed.write("handlers.toml", handlers_toml()))
    emit(installed, "Account/Blocked", 1, 2, 3)
    emit(installed, "Account/Unblocked", 1)
    record_all(installed, "failed")

    dry = installed.ok("events", "retry", "--handler", "hss", "--since", "1h", "--dry-run")
    lines = [line.split() for line in dry.splitlines()]
    assert lines[1:3] == [["failed", "Account/Blocked", "3"], ["failed", "Account/Unblocked", "1"]]
    assert lines[3][0] == "4;"
    assert installed.record("events", "list", "--status", "retry") == []
    for filters, count in (
        (["--type", "*/Unblocked"], 1),
        (["--entity", "account:1"], 1),
        (["2", "3"], 2),
        (["--status", "failed", "--until", "1h"], 0),
    ):
        assert installed.ok("events", "retry", *filters) == f"{count} to be sent again\n"
    dry = installed.ok("events", "skip", "--handler", "hss", "--dry-run")
    assert "4; nothing was changed" in dry
    assert installed.ok("events", "skip", "--handler", "hss") == "4 skipped\n"


def test_ctrl_c_in_a_bulk_repeat_leaves_a_whole_state(installed: Installation) -> None:
    installed.ok("apply", installed.write("handlers.toml", handlers_toml()))
    postgres = installed.url.engine == "postgres"
    rows = 40_000
    source = (
        f"generate_series(1, {rows}) AS n(i)"
        if postgres
        else f"(WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < {rows})"
        " SELECT i FROM n) AS n"
    )
    installed.sql(
        "INSERT INTO event (i_env, event_type, entity, entity_id, lane, variables)"
        f" SELECT 1, 'Account/Blocked', 'account', i, i % 64, '{{}}' FROM {source}"
    )
    record_all(installed, "failed")
    process = subprocess.Popen(
        [ESPF, "events", "retry", "--handler", "hss"],
        env=installed.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    until(lambda: installed.sql("SELECT count(*) FROM parked")[0][0], "the first portions")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)

    ((parked, highest),) = installed.sql("SELECT count(*), max(i_event) FROM parked")
    assert process.returncode == 1
    assert f"{parked} to be sent again. The rest is as it was" in output
    assert (parked % 500, highest) == (0, parked)
    assert 0 < parked < rows


def test_a_replay_reaches_the_receiver_in_order(installed: Installation) -> None:
    receiver = ["receiver", "--port", "0", "--auth", "Basic", "--user", "espf"]
    receiver += ["--record", "received.jsonl"]
    with installed.running(*receiver, ESPF_RECEIVER_KEY=KEY) as (_, line):
        file = installed.write("handlers.toml", handlers_toml(line.split()[-1] + "events"))
        installed.ok("apply", file)
        with installed.running("instance"):
            emit(installed, "Account/Blocked", 7, 7)
            emit(installed, "Account/Unblocked", 7)
            until(lambda: len(received(installed)) == 3, "three requests")
            until(lambda: finished(installed) == [3, 2, 1], "their results")
            dry = installed.ok("handlers", "replay", "hss", "--from", "2", "--dry-run")
            assert "2 from event 2 on; nothing was changed" in dry
            done = installed.ok("handlers", "replay", "hss", "--since", "1h")
            assert "3 from event 1 on are sent, in order." in done
            until(lambda: len(received(installed)) == 6, "the same again")
            until(lambda: finished(installed) == [3, 2, 1], "their results")
            only = installed.ok(
                "handlers", "replay", "hss", "--from", "1", "--type", "Account/Unblocked"
            )
            assert only == "1 to be sent again\n"
            until(lambda: len(received(installed)) == 7, "the one of that type")
    assert received(installed) == [1, 2, 3, 1, 2, 3, 3]
    assert installed.run("handlers", "replay", "hss").returncode == 2


def received(installed: Installation) -> list[int]:
    path = installed.folder / "received.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line)["event"]["variables"]["i_event"] for line in lines]


def finished(installed: Installation) -> list[int]:
    found = installed.record("events", "list", "--status", "finished")
    return [one["i_event"] for one in found]


def test_what_a_handler_passes_by_is_told(installed: Installation) -> None:
    installed.ok("apply", installed.write("handlers.toml", handlers_toml()))
    emit(installed, "Account/Blocked", 1, 2)
    shown = installed.record("handlers", "show", "hss")
    assert shown["while_disabled"].startswith("events pass it by")

    installed.ok("handlers", "disable", "hss")
    told = installed.ok("handlers", "enable", "hss")

    assert "It passed by 2 events (1 to 2)" in told
    assert "espf handlers replay hss --from 1" in told
    (passed,) = installed.record("handlers", "show", "hss")["passed_by"]
    assert (passed["first"], passed["last"], passed["events"]) == (1, 2, 2)
    assert "passed by, and shown as skipped" in installed.ok("handlers", "show", "hss")
    listed = installed.record("events", "list")
    assert {(one["status"], one["reason"]) for one in listed} == {("skipped", passed["reason"])}
    assert "2 from event 1 on are sent" in installed.ok("handlers", "replay", "hss", "--from", "1")
    assert {one["status"] for one in installed.record("events", "list")} == {"queued"}


def test_retention_is_shown_counted_and_carried_out(installed: Installation) -> None:
    installed.ok("apply", installed.write("handlers.toml", handlers_toml()))
    emit(installed, "Account/Blocked", 1, 2, 3)
    installed.sql("UPDATE event SET event_time = '2020-01-01 00:00:00' WHERE i_event < 3")
    record_all(installed, "finished")

    shown = installed.record("retention", "show")
    assert (shown["oldest_event"], shown["oldest_time"]) == (1, "2020-01-01 00:00:00")
    assert shown["finished_days"] == 90
    dry = installed.ok("retention", "run", "--dry-run")
    assert "2 events; nothing was changed" in dry
    kept = installed.ok("retention", "run", ESPF_RETENTION_FINISHED_DAYS="36000")
    assert kept == "0 events and 0 attempts removed.\n"
    installed.sql("DELETE FROM housekeeping_mark WHERE name LIKE 'swept%'")
    assert installed.ok("retention", "run") == "2 events and 2 attempts removed.\n"
    assert [one["i_event"] for one in installed.record("events", "list")] == [3]


def test_tail_begins_with_the_latest_attempts(installed: Installation) -> None:
    installed.ok("apply", installed.write("handlers.toml", handlers_toml()))
    emit(installed, "Account/Blocked", *range(1, 6))
    record_all(installed, "failed")
    tail = subprocess.Popen(
        [ESPF, "events", "tail", "--lines", "2", "--json"],
        env=installed.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert tail.stdout is not None
    lines = [json.loads(tail.stdout.readline()) for _ in range(2)]
    tail.send_signal(signal.SIGINT)
    assert tail.wait(20) == 0
    tail.stdout.close()
    assert [line["i_event"] for line in lines] == [4, 5]
