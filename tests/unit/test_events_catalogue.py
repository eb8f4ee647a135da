"""The catalogue of this package, held against the domain page's rules."""

from importlib.resources import files

import orjson
import pytest

from espf.errors import ConfigError
from espf.events.catalogue import (
    COMMON_VARIABLES,
    Catalogue,
    coalescing_types,
    did_you_mean,
    nearest,
    shown,
)

CATALOGUE = Catalogue.load()
PUBLISHED = orjson.loads(files("espf.events").joinpath("payloads.json").read_bytes())
SECRET_WORDS = ("password", "secret", "ki", "opc", "pin", "puk", "puk1", "puk2", "amf", "key")


def test_there_are_98_version_1_types() -> None:
    assert len(CATALOGUE.types) == 98


def test_the_catalogue_is_read_once() -> None:
    assert Catalogue.load() is CATALOGUE


def test_names_have_two_to_four_segments() -> None:
    assert all(1 <= name.count("/") <= 3 for name in CATALOGUE.types)


def test_eleven_types_coalesce() -> None:
    quotas = {
        f"Account/Service/{kind}{what}"
        for kind in ("", "Msg/", "Netaccess/")
        for what in ("QuotaExceeded", "QuotaExpired")
    }
    assert coalescing_types() == quotas | {
        "Account/ProductAddon/Changed",
        "Account/ProductAddon/Deleted",
        "Customer/Status/Limited",
        "Customer/Status/Suspend",
        "Customer/Status/Suspended",
    }


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("Account/Id/Changed", "Account/ID/Changed"),
        ("Account/Status/Suspend", "Account/Status/Suspended"),
        ("Account/Status/Unsuspend", "Account/Status/SuspensionRemoved"),
    ],
)
def test_an_alias_finds_the_newer_name(alias: str, name: str) -> None:
    assert CATALOGUE.require(alias).name == name


def test_there_are_no_other_aliases() -> None:
    assert sum(len(of.aliases) for of in CATALOGUE.types.values()) == 3


def test_suspend_and_suspended_of_a_customer_are_two_types() -> None:
    assert CATALOGUE.require("Customer/Status/Suspend").name == "Customer/Status/Suspend"


def test_the_list_of_2019_is_covered() -> None:
    names = PUBLISHED["event_type_names_2019"]["types"]
    assert len(names) == 89
    assert [name for name in names if CATALOGUE.find(name) is None] == []


def test_the_types_of_2019_and_ours_and_five_later_ones_are_all() -> None:
    old = {CATALOGUE.require(n).name for n in PUBLISHED["event_type_names_2019"]["types"]}
    ours = {name for name, of in CATALOGUE.types.items() if of.confidence == "ours"}
    assert len(old) == 89
    assert len(ours) == 4
    assert len(CATALOGUE.types.keys() - old - ours) == 5


def test_the_handbooks_14_types_are_known_by_these_names() -> None:
    names = PUBLISHED["handbook_example_types"]
    assert len(names) == 14
    assert all(name in CATALOGUE.types for name in names)


def test_every_variable_is_typed_and_the_common_ones_come_first() -> None:
    for of in CATALOGUE.types.values():
        assert of.variables[:3] == COMMON_VARIABLES
        assert len(set(of.variables)) == len(of.variables)
        for name in of.variables:
            CATALOGUE.variable_type(name)


def test_no_event_carries_a_secret() -> None:
    for of in [*CATALOGUE.types.values(), *CATALOGUE.v2.values()]:
        for name in of.variables:
            words = name.removeprefix("prev_").removeprefix("curr_").split("_")
            assert not set(words) & set(SECRET_WORDS), (of.name, name)
            assert name not in ("attribute_value", "value")


def test_prev_and_curr_come_in_pairs() -> None:
    for of in CATALOGUE.types.values():
        prev = {name[5:] for name in of.variables if name.startswith("prev_")}
        assert prev == {name[5:] for name in of.variables if name.startswith("curr_")}


@pytest.mark.parametrize(
    ("entity", "group", "special"),
    [
        (
            "account",
            "Subscriber",
            {"Account/New": "Created", "Account/Status/Closed": "Deleted"},
        ),
        (
            "customer",
            "Customer",
            {"Customer/New": "Created", "Customer/Status/Closed": "Deleted"},
        ),
        ("invoice", "Invoice", {"Invoice/New": "Created"}),
        ("did", "DID", {"DID/New": "Created", "DID/Deleted": "Deleted"}),
    ],
)
def test_version_2_is_created_deleted_or_else_updated(
    entity: str, group: str, special: dict[str, str]
) -> None:
    found = {of.name: of.v2 for of in CATALOGUE.types.values() if of.entity == entity}
    assert found == {name: f"{group}/{special.get(name, 'Updated')}" for name in found}


def test_types_of_products_policies_connections_and_payments_have_no_counterpart() -> None:
    entities = {"product", "access_policy", "connection", "payment_transaction", "custom_field"}
    assert {of.v2 for of in CATALOGUE.types.values() if of.entity in entities} == {None}


def test_a_card_given_or_swapped_is_replaced_for_a_subscriber_of_sim() -> None:
    of = CATALOGUE.require("Account/SIMCardAssignment")
    assert (of.v2, of.v2_sim) == ("Subscriber/Updated", "SIM/Replaced")


def test_every_version_2_name_in_use_exists() -> None:
    for of in CATALOGUE.types.values():
        assert of.v2_names <= CATALOGUE.v2.keys()


def test_only_account_types_turn_into_sim_types() -> None:
    turned = [of for of in CATALOGUE.types.values() if of.v2_sim]
    assert turned
    assert {of.entity for of in turned} == {"account"}


def test_version_2_types_are_those_published() -> None:
    published = PUBLISHED["variable_types_api_v2"]["events"]
    sim = PUBLISHED["sim_event_types"]["types"]
    assert CATALOGUE.v2.keys() == published.keys() | set(sim)
    for name, variables in published.items():
        assert set(CATALOGUE.v2[name].variables) == variables.keys()
        assert {CATALOGUE.variable_type(v) for v in variables} == set(variables.values())


def test_there_is_no_invoice_deleted_and_no_subscriber_new() -> None:
    assert "Invoice/Deleted" not in CATALOGUE.v2
    assert "Subscriber/New" not in CATALOGUE.v2


def test_groups_are_five() -> None:
    assert CATALOGUE.groups == ("Subscriber", "Customer", "Invoice", "DID", "SIM")


def test_dispatchers_derive_known_types_from_known_types() -> None:
    assert {row.handler for row in CATALOGUE.dispatches} == {
        "ServiceAttributeDispatcher",
        "ProductToAccountsDispatcher",
        "CustomerToAccountsDispatcher",
    }
    for row in CATALOGUE.dispatches:
        assert row.input in CATALOGUE.types
        assert row.output in CATALOGUE.types


def test_funds_are_dispatched_to_subordinate_credit_accounts_only() -> None:
    scopes = {
        row.scope
        for row in CATALOGUE.dispatches
        if row.input.endswith(("/ZeroAvailableFunds", "/AvailableFundsAppear"))
    }
    assert scopes == {"credit-subordinate-accounts"}


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("Account/Block", "Account/Blocked"),
        ("account/blocked", "Account/Blocked"),
        ("Account/SimCardAssignment", "Account/SIMCardAssignment"),
        ("Custommer/Blocked", "Customer/Blocked"),
        ("zzz", None),
        ("Account/Blocked" * 10_000, None),
    ],
)
def test_the_nearest_name_is_proposed(wrong: str, meant: str | None) -> None:
    assert CATALOGUE.nearest(wrong) == meant


def test_an_unknown_type_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match=r"^Account/Blokked is not a known event type; did you"):
        CATALOGUE.require("Account/Blokked")


def test_a_message_shows_neither_control_characters_nor_a_megabyte() -> None:
    assert shown("a\x00b\n") == r"a\x00b\n"
    assert len(shown("x" * 1_000_000)) == 61
    assert did_you_mean(None) == "."
    assert nearest("x", []) is None
