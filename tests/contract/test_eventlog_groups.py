"""Service groups, and the provisioning status of accounts in them: the same on both engines."""

import pytest

from engine_rig import PLAIN, START_US, handler_change
from espf.errors import ConfigError
from espf.eventlog.model import AccountStatus, ServiceGroup, Settlement, StatusRow
from storage_rig import Storage

PREDEFINED = [
    "VoIP",
    "HSS",
    "PCRF",
    "IPTV",
    "WiMAX",
    "Netaccess",
    "NumberPortability",
    "LawfulInterception",
]


def row(status: str, i_event: int, message: str = "", **other: object) -> StatusRow:
    made = StatusRow(1, 3, "HSS", status, message, i_event)  # type: ignore[arg-type]
    return made._replace(**other)  # type: ignore[arg-type]


async def settle(storage: Storage, *rows: StatusRow) -> None:
    await storage.log.settle(Settlement("one", START_US, statuses=list(rows)))


def standing(storage: Storage, i_account: int = 3) -> list[tuple[str, str, str]]:
    return [(one.group, one.status, one.message) for one in storage.operations.statuses(i_account)]


# ---- groups ----


def test_the_predefined_groups_are_there_and_custom_ones_begin_at_1001(storage: Storage):
    assert storage.operations.groups() == [
        ServiceGroup(number, name, False) for number, name in enumerate(PREDEFINED, 1)
    ]
    assert storage.operations.create_group("Voicemail") == ServiceGroup(1001, "Voicemail", True)
    assert storage.operations.create_group("Games").i_group > 1001
    assert [group.name for group in storage.operations.groups()][8:] == ["Voicemail", "Games"]


def test_a_number_is_not_given_twice(storage: Storage):
    first = storage.operations.create_group("Games")
    storage.operations.delete_group("Games")
    assert storage.operations.create_group("Games").i_group > first.i_group


@pytest.mark.parametrize("name", ["", " HSS", "a" * 65, "a\nb"])
def test_a_name_that_is_none_is_refused(storage: Storage, name: str):
    with pytest.raises(ConfigError, match="1 to 64 characters"):
        storage.operations.create_group(name)
    assert len(storage.operations.groups()) == 8


def test_a_name_is_given_once(storage: Storage):
    with pytest.raises(ConfigError, match="There is a service group HSS already"):
        storage.operations.create_group("HSS")


@pytest.mark.parametrize("wanted", ["HSS", "2"])
def test_predefined_groups_stay(storage: Storage, wanted: str):
    with pytest.raises(ConfigError, match="HSS is one of the predefined groups"):
        storage.operations.delete_group(wanted)


def test_a_group_that_is_not_there_is_said_with_the_nearest(storage: Storage):
    with pytest.raises(ConfigError, match=r"There is no service group HS; did you mean HSS\?"):
        storage.operations.delete_group("HS")


async def test_a_deleted_group_takes_its_statuses_along(storage: Storage):
    group = storage.operations.create_group("Voicemail")
    await settle(storage, row("OK", 1, group_name="Voicemail"), row("OK", 1))

    assert storage.operations.delete_group(str(group.i_group)) == group
    assert standing(storage) == [("HSS", "OK", "")]


# ---- statuses ----


async def test_a_result_stands_until_a_later_one(storage: Storage):
    await settle(storage, row("RETRY", 5, "busy"), row("OK", 6, group_name="IPTV"))
    assert storage.operations.statuses(3) == [
        AccountStatus(2, "HSS", "RETRY", "busy", START_US),
        AccountStatus(4, "IPTV", "OK", "", START_US),
    ]

    await settle(storage, row("OK", 5), row("FAILED", 7, "no", i_account=4))
    assert standing(storage) == [("HSS", "OK", ""), ("IPTV", "OK", "")]
    assert standing(storage, 4) == [("HSS", "FAILED", "no")]


async def test_an_earlier_events_result_never_replaces_a_later_ones(storage: Storage):
    await settle(storage, row("OK", 9))
    await settle(storage, row("FAILED", 8, "late"))
    assert standing(storage) == [("HSS", "OK", "")]

    await settle(storage, row("RETRY", 10), row("FAILED", 9), row("OK", 10), row("RETRY", 3))
    assert standing(storage) == [("HSS", "OK", "")]


async def test_a_group_that_is_not_there_costs_no_settlement(storage: Storage):
    await settle(storage, row("OK", 1, group_name="Nobody's"), row("OK", 1))
    assert standing(storage) == [("HSS", "OK", "")]


async def test_any_text_can_be_a_message(storage: Storage):
    message = "it's “no”; DROP TABLE account_status; -- \\ %s :status \n" + "x" * 3900
    await settle(storage, row("FAILED", 1, message))
    assert standing(storage) == [("HSS", "FAILED", message)]


def test_a_status_set_by_hand_is_newer_than_all_events_before(storage: Storage):
    storage.operations.set_status(3, "Netaccess", "IN_PROGRESS", "ordered")
    storage.operations.set_status(3, "6", "OK")

    (one,) = storage.operations.statuses(3)
    assert (one.group, one.status, one.message) == ("Netaccess", "OK", "")


async def test_events_before_a_status_set_by_hand_leave_it_and_later_ones_do_not(storage: Storage):
    storage.operations.apply([handler_change("hss")])
    storage.append([(3, PLAIN), (3, PLAIN)])
    storage.operations.set_status(3, "HSS", "FAILED", "by hand")

    await settle(storage, row("OK", 1))
    assert standing(storage) == [("HSS", "FAILED", "by hand")]
    await settle(storage, row("OK", 3))
    assert standing(storage) == [("HSS", "OK", "")]


@pytest.mark.parametrize(
    ("group", "status", "message", "why"),
    [
        ("HSS", "DONE", "", "DONE is no status; there are OK, IN_PROGRESS, RETRY, FAILED"),
        ("HSS", "ok", "", "ok is no status"),
        ("HLR", "OK", "", "There is no service group HLR"),
        ("HSS", "OK", "x" * 4001, "at most 4000 characters"),
    ],
)
def test_what_is_no_status_is_refused(storage: Storage, group, status, message, why):
    with pytest.raises(ConfigError, match=why):
        storage.operations.set_status(3, group, status, message)
    assert storage.operations.statuses(3) == []


def test_the_tables_themselves_refuse_what_is_none(storage: Storage):
    long = "x" * 4001
    for values in ("3, 2, 'DONE', '', 1, 1", f"3, 2, 'OK', '{long}', 1, 1"):
        with pytest.raises(Exception, match=r"(?i)constraint"):
            storage.execute(f"INSERT INTO account_status VALUES ({values})")
