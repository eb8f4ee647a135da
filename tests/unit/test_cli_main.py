"""The command in this process: exit status, messages, names and values that operators give."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from cli_rig import Installation, handlers_toml
from espf.cli.emit import KEYS, read_variables
from espf.cli.main import run
from espf.cli.naming import entity_key, event_types, moment
from espf.cli.output import cell, plain, table
from espf.cli.pairs import pairs
from espf.demo.verdict import Arrival, faults
from espf.errors import ConfigError
from espf.events.catalogue import Catalogue
from espf.events.model import Event

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    installed = Installation(tmp_path)
    monkeypatch.setenv("ESPF_DATABASE_URL", f"sqlite:///{installed.database}")
    monkeypatch.setenv("HSS_PASSWORD", "secret-of-the-hss")
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> tuple[int, str, str]:
        status = run(list(words))
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return call


def test_an_error_of_ours_is_one_message_and_a_traceback_only_with_debug(command: Command) -> None:
    status, out, err = command("events", "show", "99")
    assert (status, out, err) == (1, "", "There is no event 99.\n")
    status, _, err = command("events", "show", "99", "--debug")
    assert status == 1
    assert "Traceback" in err


def test_an_unexpected_error_names_its_type_and_not_its_text(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise KeyError("hush")

    monkeypatch.setattr("espf.config.Config.database", property(fails))
    status, _, err = command("events", "list")
    assert status == 1
    assert err == "Unexpected error: KeyError. Run with --debug to see where it is from.\n"


def test_a_full_disk_under_what_is_printed_is_said() -> None:
    words = [sys.executable, "-m", "espf.cli.main", "--version"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "The system refused to read or write: No space left on device.\n"


def test_bytes_that_are_no_text_are_refused_as_wrong_use(command: Command) -> None:
    assert command("events", "list", "--handler", "\udcff")[0] == 2


def test_apply_then_switching_and_listing_handlers(command: Command, tmp_path: Path) -> None:
    (tmp_path / "h.toml").write_text(handlers_toml())
    assert command("apply", "h.toml", "--dry-run")[1].endswith("Nothing was changed: --dry-run.\n")
    assert command("handlers", "list", "--json")[1] == "[]\n"
    assert command("apply", "h.toml")[0] == 0
    assert command("handlers", "pause", "hss")[1] == "hss: paused\n"
    assert command("handlers", "pause", "hss")[1] == "hss: paused already\n"
    (record,) = json.loads(command("handlers", "list", "--json")[1])
    assert (record["name"], record["paused"], record["backlog"]) == ("hss", True, 0)
    shown = json.loads(command("handlers", "show", "hss", "--json")[1])
    assert shown["options"]["EventSender.BasicAuth.Key"] == "set"
    assert shown["options"]["Retry.FirstDelay"] == 60
    assert shown["event_types"] == ["Account/Blocked", "Account/New", "Account/Unblocked"]
    status, _, err = command("handlers", "disable", "hss", "hsss")
    assert (status, err) == (1, 'There is no handler named "hsss"; did you mean hss?\n')
    assert json.loads(command("handlers", "list", "--json")[1])[0]["enabled"] is True


def test_emit_stores_what_is_subscribed_and_says_when_it_is_not(
    command: Command, tmp_path: Path
) -> None:
    status, _, err = command("events", "emit", "Account/New", "i_account=1")
    assert (status, "No enabled handler" in err) == (1, True)
    (tmp_path / "h.toml").write_text(handlers_toml())
    command("apply", "h.toml")
    assert command("events", "emit", "Account/New", "i_account=1")[1] == "event 1\n"
    (record,) = json.loads(command("events", "list", "--entity", "account:1", "--json")[1])
    assert record["variables"] == {"i_account": 1}
    assert command("events", "retry", "1", "2")[2] == "There is no event 2.\n"
    assert command("events", "skip", "--handler", "hss")[1] == "1 skipped\n"


def test_every_entity_of_the_catalogue_can_be_emitted() -> None:
    assert {of.entity for of in Catalogue.load().types.values()} == set(KEYS)


def test_variables_are_read_as_their_types_and_mistakes_told_together() -> None:
    of = Catalogue.load().require("Customer/BalanceChanged")
    given = {"i_customer": "7", "prev_balance": "1.5", "curr_balance": ""}
    assert read_variables(of, given) == {"i_customer": 7, "prev_balance": 1.5, "curr_balance": None}
    with pytest.raises(ConfigError) as caught:
        read_variables(of, {"i_customer": "x", "curr_balanse": "1", "prev_balance": "nan"})
    assert len(caught.value.problems) == 3
    assert "did you mean curr_balance?" in str(caught.value)


@pytest.mark.parametrize("words", [["name"], ["=x"], ["a=1", "a=2"]])
def test_fields_that_are_none_are_wrong_use(words: list[str]) -> None:
    with pytest.raises(typer.BadParameter):
        pairs(words)


def test_a_value_may_hold_further_equals_signs() -> None:
    assert pairs(["a=b=c", "d="]) == {"a": "b=c", "d": ""}


def test_times_are_read_in_utc_or_as_how_long_ago() -> None:
    assert moment("1970-01-02", 0) == 86_400_000_000
    assert moment("1970-01-01 00:00:01", 0) == 1_000_000
    assert moment("1970-01-01T01:00:01+01:00", 0) == 1_000_000
    assert moment("2m", 200_000_000) == 80_000_000
    with pytest.raises(typer.BadParameter):
        moment("yesterday", 0)


def test_entities_and_types_are_checked_against_the_catalogue() -> None:
    assert entity_key("account:12") == ("account", 12)
    assert entity_key("account") == ("account", None)
    for wrong in ("acount:1", "account:x", "account:"):
        with pytest.raises(typer.BadParameter):
            entity_key(wrong)
    assert event_types(["Account/Blocked,Account/Unb*"]) == ["Account/Blocked", "Account/Unblocked"]


def test_text_cannot_reprogram_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert plain("a\x1b[31m\nb") == r"a\x1b[31m\nb"
    assert cell("x" * 100).endswith("…")
    table(("name", "n"), [("📡 hss", 1), ("x", None)])
    assert capsys.readouterr().out == "name    n\n📡 hss  1\nx\n"


def _event(i_event: int, entity_id: int) -> Event:
    return Event(i_event, 1, "Account/New", "account", entity_id, 0, "", "{}", has_sim=False)


@pytest.mark.parametrize(
    ("arrivals", "fault"),
    [
        ([(1, False), (2, False), (3, False)], None),
        ([(2, False), (1, False), (3, False), (1, True)], None),
        ([(1, False), (2, False)], "Event 3 never arrived."),
        ([(3, False), (1, False), (2, False)], "Event 1 of account 1 came after a later one."),
        ([(1, False), (1, False), (2, False), (3, False)], "not known as a repeat"),
        ([(1, False), (2, False), (3, False), (9, False)], "not in the log"),
    ],
)
def test_the_demo_judges_loss_order_and_repeats(
    arrivals: list[tuple[int, bool]], fault: str | None
) -> None:
    events = [_event(1, 1), _event(2, 2), _event(3, 1)]
    found = faults(events, [Arrival(*one) for one in arrivals])
    assert found == [] if fault is None else fault in "".join(found)
