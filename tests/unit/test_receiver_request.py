"""What the receiver takes for an event, what it knows again, and when it fails on purpose."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espf.errors import ConfigError, StorageError
from espf.receiver.dedupe import SeenInFile, SeenInMemory
from espf.receiver.failures import Failures, Fault
from espf.receiver.options import ReceiverOptions, receiver_options
from espf.receiver.record import Entry, Recorder
from espf.receiver.request import Received, Refusal, Request, parse


def post(body: object, content_type: str = "application/json") -> Request:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Request("POST", "/", (("content-type", content_type),), text)


def event(**variables: object) -> dict[str, object]:
    return {"event_type": "Account/Blocked", "variables": variables}


@pytest.mark.parametrize("number", [7615, "7615"])
def test_a_number_and_a_numeric_text_are_the_same_event(number: object) -> None:
    received = parse(post(event(i_event=number)))
    assert isinstance(received, Received)
    assert received.i_event == 7615


def test_an_event_without_number_is_taken_and_never_a_repeat() -> None:
    received = parse(post(event()))
    assert isinstance(received, Received)
    assert received.i_event is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b"[" * 100_000,
        [],
        {},
        {"event_type": "Account/New"},
        {"event_type": "SIM/Updated", "variables": None},
        {"event_type": "Account/New", "variables": []},
        {"event_type": 7, "variables": {}},
        {"variables": {}},
        event(i_event=True),
        event(i_event=1.5),
        event(i_event=-1),
        event(i_event="7a"),
        event(i_event="٣"),
        event(i_event=None),
        event(i_event=1 << 63),
    ],
)
def test_what_is_no_event_is_answered_400(body: object) -> None:
    refusal = parse(post(body))
    assert isinstance(refusal, Refusal)
    assert refusal.status == 400


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/jsonx"])
def test_another_content_type_is_answered_415(content_type: str) -> None:
    refusal = parse(post(event(), content_type))
    assert isinstance(refusal, Refusal)
    assert refusal.status == 415


@given(st.binary())
def test_no_body_at_all_breaks_the_parser(body: bytes) -> None:
    assert isinstance(parse(post(body)), Refusal | Received)


def test_memory_knows_the_latest_numbers_and_stays_bounded() -> None:
    seen = SeenInMemory(limit=3)
    for number in (1, 2, 3, 1, 4):
        seen.add(number)
    assert [number for number in range(6) if number in seen] == [1, 3, 4]


def test_a_file_knows_numbers_again_after_a_restart(tmp_path: Path) -> None:
    first = SeenInFile(tmp_path / "seen")
    first.add(7)
    first.close()
    second = SeenInFile(tmp_path / "seen")
    assert 7 in second
    assert 8 not in second
    second.close()


def test_a_file_that_is_no_database_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "seen"
    path.write_text("not a database, but long enough to be looked at" * 10)
    with pytest.raises(StorageError, match="seen"):
        SeenInFile(path)


def faults(draws: list[float], **options: object) -> list[Fault | None]:
    failures = Failures(ReceiverOptions.model_validate(options), iter(draws).__next__)
    return [failures.next() for _ in draws]


def test_all_fail_when_only_a_status_is_given() -> None:
    assert faults([0.0, 0.999], status=503) == [Fault.STATUS, Fault.STATUS]


def test_only_the_first_fail_when_told_how_many() -> None:
    assert faults([0.5] * 3, drop=True, times=2) == [Fault.DROP, Fault.DROP, None]


def test_a_share_fails_by_the_draw_and_only_those_count() -> None:
    assert faults([0.9, 0.1, 0.2], fail_rate=0.5, times=1) == [None, Fault.STATUS, None]


def test_none_fail_unless_told() -> None:
    assert faults([0.0]) == [None]
    assert faults([0.0], fail_rate=0) == [None]


@pytest.mark.parametrize(
    ("given_options", "named"),
    [
        ({"auth": "Basic", "key": "secret-key"}, "--user"),
        ({"auth": "Custom", "key": "secret-key"}, "--type"),
        ({"auth": "Signature", "user": "u"}, "--key"),
        ({"status": 503, "drop": True, "key": "secret-key"}, "--drop"),
        ({"times": 3}, "--times"),
        ({"status": 99}, "--status"),
        ({"fail_rate": 2}, "--fail-rate"),
        ({"delay_s": -1}, "--delay:"),
        ({"port": 70000}, "--port"),
        ({"auth_header": "a b"}, "--auth-header"),
    ],
)
def test_a_wrong_option_is_named_and_no_key_is_shown(
    given_options: dict[str, object], named: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        receiver_options(**given_options)
    assert named in str(raised.value)
    assert "secret-key" not in str(raised.value)
    assert raised.value.__context__ is None


def test_a_full_disk_is_said_and_does_not_break_the_end() -> None:
    recorder = Recorder.to_file(Path("/dev/full"), "Authorization")
    with pytest.raises(StorageError, match="/dev/full: No space left"):
        recorder.write(Entry(0, post(event()), 200))
    recorder.close()


def test_a_record_that_cannot_be_opened_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="missing"):
        Recorder.to_file(tmp_path / "missing" / "got.jsonl", "Authorization")


def test_a_line_masks_the_key_in_the_header_chosen_and_in_the_usual_ones(tmp_path: Path) -> None:
    recorder = Recorder.to_file(tmp_path / "got.jsonl", "X-Auth")
    headers = (("x-auth", "token-a"), ("authorization", "Bearer token-b"), ("cookie", "token-c"))
    recorder.write(Entry(0, Request("POST", "/", headers, b""), 200))
    recorder.close()
    line = json.loads((tmp_path / "got.jsonl").read_text())
    assert line["headers"] == [
        ["x-auth", "***"],
        ["authorization", "Bearer ***"],
        ["cookie", "***"],
    ]
    assert line["time"] == "1970-01-01T00:00:00.000000Z"
