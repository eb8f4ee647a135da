"""What an EventSender is subscribed to and what it therefore sends (domain, 2.2 and 3)."""

import json

import pytest

from espf.errors import ConfigError
from espf.events.catalogue import Catalogue
from espf.events.model import Event
from espf.handlers.event_sender.routes import FILTERED, Router
from espf.handlers.event_sender.subscriptions import (
    allowed_names,
    read_subscriptions,
    subscribable,
)
from espf.handlers.port import Skipped

CATALOGUE = Catalogue.load()


def captured(names: list[str], api_version: int) -> frozenset[str]:
    wanted = read_subscriptions(names, api_version)
    assert wanted.problems == ()
    return frozenset(wanted.names)


def sent(
    event_type: str,
    subscriptions: list[str],
    *,
    api_version: int = 2,
    allowed: str = "",
    has_sim: bool = False,
    variables: str = "{}",
) -> str | Skipped:
    """Return the name under which the event goes out, or why it does not."""
    known = CATALOGUE.find(event_type)
    entity = known.entity if known else "future"
    event = Event(1, 1, event_type, entity, 5, 5, "2026-01-01 00:00:00", variables, has_sim)
    router = Router(
        api_version,
        read_subscriptions(subscriptions, api_version).names,
        allowed_names(allowed, api_version),
        with_unique_id=True,
    )
    way = router.choose(event)
    return way if isinstance(way, Skipped) else str(json.loads(way(event))["event_type"])


@pytest.mark.parametrize("api_version", [1, 2])
def test_all_is_every_type(api_version: int) -> None:
    assert captured(["all"], api_version) == frozenset(CATALOGUE.types)
    assert captured(["*"], api_version) == frozenset(CATALOGUE.types)


def test_version_1_takes_names_aliases_and_patterns() -> None:
    assert captured(["Account/New", "Account/Id/Changed", "*/Blocked"], 1) == {
        "Account/New",
        "Account/ID/Changed",
        "Account/Blocked",
        "Customer/Blocked",
    }


def test_a_group_is_every_type_that_may_be_sent_in_it() -> None:
    subscriber = captured(["Subscriber"], 2)
    assert {name for name in CATALOGUE.types if name.startswith("Account/")} <= subscriber
    assert "Subscriber/Name/Changed" in subscriber
    assert "Customer/New" not in subscriber
    sim = captured(["SIM"], 2)
    assert {"SIM/New", "Account/SIMCardAssignment", "Account/Blocked"} <= sim
    assert "Account/New" not in sim


def test_a_version_2_name_is_every_type_sent_as_it() -> None:
    assert captured(["Subscriber/Created"], 2) == {"Account/New"}
    assert captured(["SIM/Replaced"], 2) == {"Account/SIMCardAssignment"}
    assert captured(["DID/Deleted"], 2) == {"DID/Deleted"}


def test_version_1_names_are_mapped_under_version_2() -> None:
    assert captured(["Account/Blocked", "Customer/Name/*"], 2) == {
        "Account/Blocked",
        "Customer/Name/Changed",
    }


def test_a_pattern_of_version_2_names_means_them_and_nothing_else() -> None:
    assert captured(["Subscriber/*"], 2) == captured(["Subscriber"], 2)
    assert captured(["Invoice/*"], 2) == captured(["Invoice"], 2)


@pytest.mark.parametrize(
    ("entry", "api_version", "words"),
    [
        ("Account/Blokked", 1, "is not a known event type; did you mean Account/Blocked?"),
        ("Subscriber/Update", 2, "did you mean Subscriber/Updated?"),
        ("Subscribers", 2, "did you mean Subscriber?"),
        ("Subscriber/Updated", 1, "is a name of APIVersion 2"),
        ("Subscriber", 1, "is a name of APIVersion 2"),
        ("Acount/*", 2, "did you mean Account/*?"),
        ("al", 2, "did you mean all?"),
        ("", 1, "is not a known event type"),
    ],
)
def test_an_entry_that_stands_for_nothing_is_a_problem(
    entry: str, api_version: int, words: str
) -> None:
    (found,) = read_subscriptions([entry, "Account/New"], api_version).problems
    assert words in found


def test_version_2_offers_its_own_names_too() -> None:
    assert "Subscriber/Updated" not in subscribable(1)
    assert {"Subscriber/Updated", "Account/New", "SIM/Deleted"} <= subscribable(2).keys()
    assert len(subscribable(1)) == 98


@pytest.mark.parametrize(
    ("subscriptions", "name"),
    [
        (["Account/ID/Changed"], "Account/ID/Changed"),
        (["all"], "Account/ID/Changed"),
        (["Account/*"], "Account/ID/Changed"),
        (["Account/Id/Changed"], "Account/Id/Changed"),
        (["Account/Id/*"], "Account/Id/Changed"),
        (["Account/Id/Changed", "Account/ID/Changed"], "Account/ID/Changed"),
        ([], "Account/ID/Changed"),
    ],
)
def test_the_newer_name_is_sent_unless_only_the_older_was_asked_for(
    subscriptions: list[str], name: str
) -> None:
    assert sent("Account/ID/Changed", subscriptions, api_version=1) == name


def test_allowed_types_filter_version_1_by_either_spelling() -> None:
    for allowed in ("Account/Id/Changed", "Account/ID/*", "Customer/*, Account/I*"):
        assert sent("Account/ID/Changed", ["all"], api_version=1, allowed=allowed) == (
            "Account/ID/Changed"
        )
        assert sent("Account/Blocked", ["all"], api_version=1, allowed=allowed) is FILTERED
    assert sent("Account/ID/Changed", ["Account/Id/*"], api_version=1, allowed="*/ID/*") == (
        "Account/Id/Changed"
    )


def test_allowed_types_filter_version_2_by_the_name_sent() -> None:
    assert sent("Account/Blocked", ["all"], allowed="Subscriber/Updated") == "Subscriber/Updated"
    assert sent("Account/New", ["all"], allowed="Subscriber/Updated") is FILTERED
    assert sent("Account/Blocked", ["all"], allowed="Subscriber/*", has_sim=True) is FILTERED


@pytest.mark.parametrize(
    ("event_type", "name"),
    [
        ("Account/New", "Subscriber/Created"),
        ("Account/SIMCardAssignment", "Subscriber/Updated"),
        ("Account/Status/Closed", "Subscriber/Deleted"),
        ("Customer/New", "Customer/Created"),
        ("Customer/Status/Closed", "Customer/Deleted"),
        ("Customer/Blocked", "Customer/Updated"),
    ],
)
def test_version_1_types_go_out_under_their_version_2_name(event_type: str, name: str) -> None:
    assert sent(event_type, [event_type], has_sim=True) == name


@pytest.mark.parametrize("subscriptions", [["all"], ["SIM", "Subscriber"], ["SIM", "Account/*"]])
def test_a_subscriber_of_sim_gets_the_sim_type_while_the_account_holds_a_card(
    subscriptions: list[str],
) -> None:
    assert sent("Account/Blocked", subscriptions, has_sim=True) == "SIM/Updated"
    assert sent("Account/Blocked", subscriptions, has_sim=False) == "Subscriber/Updated"
    assert sent("Account/SIMCardAssignment", subscriptions, has_sim=True) == "SIM/Replaced"
    assert sent("Account/New", subscriptions, has_sim=True) == "Subscriber/Created"


def test_a_subscriber_of_sim_alone_gets_nothing_about_accounts_without_a_card() -> None:
    assert sent("Account/Blocked", ["SIM"], has_sim=True) == "SIM/Updated"
    found = sent("Account/Blocked", ["SIM"], has_sim=False)
    assert isinstance(found, Skipped)
    assert "not subscribed to Subscriber/Updated" in found.reason


def test_a_personal_record_goes_to_the_group_of_its_owner() -> None:
    name = "Subscriber/Name/Changed"
    assert sent(name, ["all"], variables='{"i_customer":5}') == "Customer/Updated"
    assert sent(name, ["all"], variables='{"i_account":5}') == "Subscriber/Updated"
    assert isinstance(sent(name, ["Customer"], variables='{"i_account":5}'), Skipped)
    assert isinstance(sent(name, ["Subscriber"], variables='{"i_customer":5}'), Skipped)


@pytest.mark.parametrize(
    "event_type", ["Product/Discount/Changed", "Connection/New", "Brand/New/Type"]
)
def test_a_type_without_counterpart_ends_finished(event_type: str) -> None:
    found = sent(event_type, ["all"])
    assert isinstance(found, Skipped)
    assert found.finished
    assert event_type in found.reason


def test_a_type_of_a_newer_release_is_sent_as_it_is_under_version_1() -> None:
    assert sent("Brand/New/Type", ["all"], api_version=1) == "Brand/New/Type"
    assert sent("Brand/New/Type", ["all"], api_version=1, allowed="Account/*") is FILTERED


def test_every_allowed_pattern_that_matches_nothing_is_reported() -> None:
    with pytest.raises(ConfigError) as caught:
        allowed_names("Account/Blocked Subscriber/Updted x", 2)
    assert caught.value.problems == (
        (
            "Account/Blocked matches no event type of APIVersion 2, "
            "where it is sent as Subscriber/Updated."
        ),
        "Subscriber/Updted matches no event type of APIVersion 2; did you mean Subscriber/Updated?",
        "x matches no event type of APIVersion 2.",
    )
