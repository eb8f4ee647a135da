"""handlers.toml: what is accepted, what is refused, what applying it would change."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from cli_rig import handlers_toml
from espf.errors import ConfigError
from espf.eventlog.model import HandlerRow
from espf.handlers.configuration import Wanted, read_configuration
from espf.handlers.differences import Differences, differences
from espf.handlers.sealing import shown_options, unseal
from espf.secrets import SecretBox

BOX = SecretBox("a key for tests that is long enough")
SECRET = "the-password"


def read(text: str, folder: Path = Path(), **environment: str) -> Wanted:
    return read_configuration(tomllib.loads(text), folder, {"HSS_PASSWORD": SECRET, **environment})


def problems(text: str, **environment: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        read(text, **environment)
    assert SECRET not in str(caught.value)
    return caught.value.problems


def stored(found: Differences) -> list[HandlerRow]:
    return [
        HandlerRow(
            i_handler=number,
            name=one.name,
            type=one.type,
            enabled=one.enabled,
            paused=False,
            keep_events=one.keep_events,
            options=dict(one.options),
            subscriptions=one.subscriptions,
            event_types=one.event_types,
        )
        for number, one in enumerate(found.changes, 1)
    ]


def compare(text: str, before: Differences | None = None) -> Differences:
    rows = [] if before is None else stored(before)
    return differences(read(text), rows, {} if before is None else before.provisioning, BOX)


def test_a_right_file_gives_handlers_with_their_types_and_options() -> None:
    (handler,) = read(handlers_toml()).handlers
    assert (handler.name, handler.type, handler.enabled) == ("hss", "EventSender", True)
    assert handler.event_types == {"Account/New", "Account/Blocked", "Account/Unblocked"}
    assert handler.options["EventSender.BasicAuth.Key"] == SECRET


def test_applying_the_same_file_again_changes_nothing() -> None:
    first = compare(handlers_toml())
    assert first
    assert not compare(handlers_toml(), first)


def test_secrets_are_sealed_and_a_difference_says_only_that_they_changed() -> None:
    first = compare(handlers_toml())
    options = dict(first.changes[0].options)
    assert SECRET not in str(options)
    assert shown_options(options)["EventSender.BasicAuth.Key"] == "set"
    assert unseal(options, lambda: BOX)["EventSender.BasicAuth.Key"] == SECRET
    changed = differences(read(handlers_toml(), HSS_PASSWORD="new"), stored(first), {}, BOX)
    assert changed.lines == ['handler "hss" changes', "  ~ EventSender.BasicAuth.Key: changed"]


def test_a_secret_of_a_lost_key_is_replaced() -> None:
    other = SecretBox("another key that is also long enough")
    rows = stored(compare(handlers_toml()))
    assert differences(read(handlers_toml()), rows, {}, other).changes


def test_every_kind_of_change_has_its_line() -> None:
    before = compare(handlers_toml(extra="Concurrency = 2"))
    text = handlers_toml(extra='"Retry.FirstDelay" = 5').replace('"Account/New", ', "")
    found = compare(text.replace('type = "Event', 'enabled = false\ntype = "Event'), before)
    assert found.lines == [
        'handler "hss" changes',
        "  ~ enabled: true → false",
        "  - subscription Account/New",
        "  + Retry.FirstDelay = 5",
        "  - Concurrency: the default again",
    ]


def test_all_problems_of_all_handlers_are_told_at_once() -> None:
    found = problems(
        """
        colour = "red"
        [provisioning]
        AlertRecipent = "noc@operator.example"
        [[handler]]
        name = "a"
        type = "EventSendr"
        subscriptions = "Account/*"
        [[handler]]
        name = "a"
        type = "EventSender"
        enabled = "yes"
        start = 0
        subscriptions = ["Account/Nwe"]
        options = { "EventSender.URl" = "http://x/", "EventSender.BasicAuth.Key" = "file:none" }
        """
    )
    text = "\n".join(found)
    for part in (
        "there is no colour",
        "did you mean AlertRecipient?",
        'handler "a": EventSendr is not a handler type; did you mean EventSender?',
        'handler "a": subscriptions must be a list',
        "enabled must be true or false",
        'start must be "end", "beginning" or the number',
        "did you mean Account/New?",
        "did you mean EventSender.URL?",
        "EventSender.URL is needed",
        "is to come from the file none, which cannot be read",
        'handler "a": 2 handlers have this name',
    ):
        assert part in text


@pytest.mark.parametrize("name", ["", "x" * 65, "a\\u0000b", " a", "new\\nline"])
def test_names_that_would_break_a_listing_are_refused(name: str) -> None:
    assert "name " in problems(handlers_toml().replace('name = "hss"', f'name = "{name}"'))[0]


def test_an_emoji_in_a_name_is_fine() -> None:
    assert read(handlers_toml().replace('"hss"', '"hss 📡"')).handlers[0].name == "hss 📡"


@pytest.mark.parametrize("table", ["handler = 3", "[handler]\nname = 1", "handler = [1]"])
def test_handlers_that_are_no_tables_are_refused(table: str) -> None:
    assert "double brackets" in problems(table)[0]


def test_a_file_secret_is_read_from_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from-a-file\n")
    text = handlers_toml().replace("env:HSS_PASSWORD", "file:key")
    assert read(text, tmp_path).handlers[0].options["EventSender.BasicAuth.Key"] == "from-a-file"


def test_a_literal_secret_is_taken_with_a_warning_that_does_not_show_it() -> None:
    found = read(handlers_toml().replace("env:HSS_PASSWORD", "literally"))
    (warning,) = [text for text in found.warnings if "BasicAuth.Key" in text]
    assert "env:NAME" in warning
    assert "literally" not in warning


def test_both_spellings_of_the_alert_address_mean_the_same() -> None:
    for name in ("AlertRecepient", "AlertRecipient"):
        found: Any = read(f'[provisioning]\n{name} = "a@b.example"\nsend_options = "-oi -t"')
        assert found.provisioning == {"AlertRecepient": "a@b.example", "send_options": "-oi -t"}
    assert "mail address" in problems('[provisioning]\nAlertRecepient = "nobody"')[0]


def test_a_start_word_or_number_says_where_a_new_handler_begins() -> None:
    for start, wanted in (('"end"', None), ('"beginning"', 1), ("17", 17)):
        text = handlers_toml().replace("[handler.options]", f"start = {start}\n[handler.options]")
        assert read(text).handlers[0].start == wanted
