"""FreeRADIUS's tables on each engine: one transaction for an event, and what is not ours stays."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from espf.clock import SystemClock
from espf.database_url import PostgresUrl
from espf.handlers.contract.audit import Audit
from espf.handlers.contract.handler import ContractHandler
from espf.handlers.free_radius.user import RadiusUser
from espf.handlers.options import read_options
from espf.handlers.port import (
    Attempt,
    Delivered,
    HandlerContext,
    Iteration,
    Outcome,
    Rejected,
    RetryLater,
    Skipped,
)
from espf.handlers.types import handler_type
from espf.subscribers.engines import open_subscribers
from espf.subscribers.port import SubscriberSource
from free_radius_rig import Tables, tables
from registry_rig import Rig, populate, registry
from subscriber_rig import SEALED, captured, decrypt, event

BLOCKED = event("Account/Blocked", "account", 3)
PASSWORD = "let-me-in-300"
CHECK = ("300", "Cleartext-Password", ":=", PASSWORD)
USER: dict[str, list[tuple[Any, ...]]] = {
    "radcheck": [CHECK],
    "radreply": [],
    "radusergroup": [("300", "LTE", 10)],
}
NOTHING: dict[str, list[tuple[Any, ...]]] = {name: [] for name in USER}

Handler = ContractHandler[RadiusUser]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with registry(tmp_path) as made:
        populate(made)
        made.sql("UPDATE accounts SET h323_password = ?", f"{SEALED}{PASSWORD}")
        made.events()
        yield made


@pytest.fixture(params=["sqlite", "postgres"])
def radius(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Tables]:
    with tables(tmp_path, request.param) as made:
        yield made


@pytest.fixture
async def source(rig: Rig) -> AsyncIterator[SubscriberSource]:
    made = open_subscribers(rig.url, SystemClock(), decrypt)
    yield made
    await made.close()


def start(url: object, source: SubscriberSource, **options: object) -> Handler:
    kind = handler_type("FreeRADIUS")
    given = {"DatabaseURL": str(url), "RequestTimeout": 5} | options
    raw = {f"FreeRADIUS.{name}": value for name, value in given.items()}
    settings = read_options(kind.settings, raw, kind.name)
    context = HandlerContext("radius", SystemClock(), subscribers=source)
    started = kind.start(settings, frozenset(), context)
    assert isinstance(started, ContractHandler)
    return started


@pytest.fixture
async def handler(radius: Tables, source: SubscriberSource) -> AsyncIterator[Handler]:
    made = start(radius.url, source)
    yield made
    await made.close()


async def deliver(handler: Handler, of: object = BLOCKED) -> Outcome | Skipped:
    return await handler.deliver(of, Attempt(1, Iteration(1)))  # type: ignore[arg-type]


async def changed(rig: Rig, handler: Handler, *statements: str) -> list[Outcome | Skipped]:
    rig.script(";".join(statements))
    return [await deliver(handler, one) for one in captured(rig) if not handler.screen(one)]


async def test_a_user_is_written_read_back_and_not_written_again(radius, handler):
    outcome = await deliver(handler)
    assert isinstance(outcome, Delivered)
    assert outcome.request == "add user 300: password=…, groups=LTE"
    assert radius.rows() == USER

    outcome = await deliver(handler)
    assert isinstance(outcome, Delivered)
    assert outcome.request == ""


async def test_a_user_goes_from_the_first_day_to_the_last(rig, radius, handler):
    await deliver(handler)

    await changed(rig, handler, "UPDATE accounts SET blocked = 'Y' WHERE i_account = 3")
    assert radius.rows()["radusergroup"] == [("300", "suspended", 1), ("300", "LTE", 10)]
    gate = "SELECT groupname, attribute, op, value FROM radgroupcheck"
    assert radius.sql(gate) == [("suspended", "Auth-Type", ":=", "Reject")]

    await changed(rig, handler, "UPDATE accounts SET i_product = 2 WHERE i_account = 3")
    assert radius.rows()["radusergroup"] == [("300", "suspended", 1), ("300", "LTE XL", 10)]

    await changed(rig, handler, "UPDATE accounts SET blocked = 'N' WHERE i_account = 3")
    await changed(
        rig, handler, "UPDATE accounts SET expiration_date = '2099-12-31' WHERE i_account = 3"
    )
    assert radius.rows()["radcheck"] == [CHECK, ("300", "Expiration", ":=", "4102444800")]
    assert radius.rows()["radusergroup"] == [("300", "LTE XL", 10)]

    await changed(rig, handler, "UPDATE accounts SET bill_status = 'C' WHERE i_account = 3")
    assert radius.rows() == NOTHING


async def test_rows_that_are_double_or_of_another_operator_are_put_right(radius, handler):
    for _ in range(2):
        radius.sql(
            "INSERT INTO radcheck (username, attribute, op, value)"
            " VALUES ('300', 'cleartext-password', '==', 'old')"
        )
        radius.sql("INSERT INTO radusergroup (username, groupname) VALUES ('300', 'LTE')")
    await deliver(handler)

    assert radius.rows() == USER


async def test_what_is_not_ours_stays(radius, source):
    handler = start(radius.url, source, KeepGroups="vpn-*, staff")
    radius.sql(
        "INSERT INTO radcheck (username, attribute, op, value)"
        " VALUES ('300', 'Simultaneous-Use', ':=', '1'), ('bob', 'Cleartext-Password', ':=', 'b')"
    )
    radius.sql(
        "INSERT INTO radusergroup (username, groupname, priority)"
        " VALUES ('300', 'vpn-a', 0), ('300', 'old', 5)"
    )
    await deliver(handler)
    await handler.close()

    rows = radius.rows()
    assert rows["radusergroup"] == [("300", "vpn-a", 0), ("300", "LTE", 10)]
    assert ("300", "Simultaneous-Use", ":=", "1") in rows["radcheck"]
    assert ("bob", "Cleartext-Password", ":=", "b") in rows["radcheck"]


async def test_a_rename_is_one_step_and_takes_every_row_along(rig, radius, handler):
    await deliver(handler)
    radius.sql(
        "INSERT INTO radreply (username, attribute, op, value)"
        " VALUES ('300', 'Framed-IP-Address', ':=', '10.9.8.7')"
    )
    renaming = "UPDATE accounts SET id = 'ann@dsl' WHERE i_account = 3"
    (outcome,) = await changed(rig, handler, renaming)

    assert isinstance(outcome, Delivered)
    assert outcome.request == "set user ann@dsl: renamed from 300, password=…, groups=LTE"
    assert radius.rows() == {
        "radcheck": [("ann@dsl", *CHECK[1:])],
        "radreply": [("ann@dsl", "Framed-IP-Address", ":=", "10.9.8.7")],
        "radusergroup": [("ann@dsl", "LTE", 10)],
    }


async def test_users_that_exchange_their_ids_both_have_their_own_password(rig, radius, handler):
    rig.sql("UPDATE accounts SET h323_password = ? WHERE i_account = 1", f"{SEALED}other")
    for i_account in (1, 3):
        await deliver(handler, event("Account/New", "account", i_account))
    await changed(
        rig,
        handler,
        "UPDATE accounts SET id = 'x' WHERE i_account = 1",
        "UPDATE accounts SET id = '100' WHERE i_account = 3",
        "UPDATE accounts SET id = '300' WHERE i_account = 1",
    )

    passwords = {row[0]: row[3] for row in radius.rows()["radcheck"]}
    assert passwords == {"100": PASSWORD, "300": "other"}


async def test_a_gate_that_was_taken_away_is_put_back(rig, radius, handler):
    rig.sql("UPDATE accounts SET blocked = 'Y' WHERE i_account = 3")
    await deliver(handler)
    radius.sql("DELETE FROM radgroupcheck")
    outcome = await deliver(handler)

    assert isinstance(outcome, Delivered)
    assert outcome.request == "set user 300: reject group suspended"
    assert len(radius.sql("SELECT 1 FROM radgroupcheck")) == 1


async def test_an_audit_finds_what_was_changed_by_hand(radius, handler):
    for i_account in (1, 2, 3):
        await deliver(handler, event("Account/New", "account", i_account))
    radius.sql("DELETE FROM radcheck WHERE username = '100'")
    radius.sql("DELETE FROM radusergroup WHERE username = '100'")
    radius.sql("UPDATE radusergroup SET groupname = 'suspended' WHERE username = '200'")
    radius.sql(
        "INSERT INTO radcheck (username, attribute, value)"
        " VALUES ('eve', 'Cleartext-Password', 'e')"
    )
    report = await Audit(handler.provisioner.looker, 2).run(lambda _done: None)

    assert {(one.verdict, one.identity) for one in report.findings} == {
        ("missing", "100"),
        ("different", "200"),
        ("extra", "eve"),
    }
    assert report.counts["right"] == 1


async def test_only_open_sessions_of_barred_users_are_to_be_ended(rig, radius, source):
    handler = start(radius.url, source, DisconnectSecret="secret", DisconnectTimeout=0.01)
    for number, stopped in (("open", None), ("ended", "2026-01-01 00:00:00")):
        radius.sql(
            "INSERT INTO radacct (username, acctsessionid, nasipaddress, acctstoptime)"
            " VALUES ('300', ?, '127.0.0.9', ?)",
            number,
            stopped,
        )
    rig.sql("UPDATE accounts SET blocked = 'Y' WHERE i_account = 3")
    outcome = await deliver(handler)
    await handler.close()

    assert isinstance(outcome, Delivered)
    assert outcome.request.splitlines() == [
        "add user 300: password=…, groups=suspended, LTE",
        "disconnect 300: nas=127.0.0.9, session=open",
    ]
    assert "NAS 127.0.0.9" in outcome.answer


# ---- what the registry has ----


async def test_an_account_without_a_service_password_is_rejected(rig, radius, handler):
    rig.sql("UPDATE accounts SET h323_password = '' WHERE i_account = 3")
    outcome = await deliver(handler)

    assert isinstance(outcome, Rejected)
    assert outcome.reason == (
        "Account 3 has no service password; give it one "
        "(`espf registry update account 3 h323_password=…`)."
    )
    assert radius.rows() == NOTHING


@pytest.mark.parametrize("password", ["'back\\slash'", "line\nfeed", "x" * 300])
async def test_a_password_that_cannot_be_stored_is_rejected_and_not_shown(
    rig, radius, handler, password
):
    rig.sql("UPDATE accounts SET h323_password = ? WHERE i_account = 3", f"{SEALED}{password}")
    outcome = await deliver(handler)

    assert isinstance(outcome, Rejected)
    assert "The service password of account 3 cannot be stored" in outcome.reason
    assert password not in outcome.reason
    assert radius.rows() == NOTHING


async def test_an_id_that_would_not_be_found_is_rejected(rig, radius, handler):
    rig.sql("UPDATE accounts SET id = 'ann+bob' WHERE i_account = 3")
    outcome = await deliver(handler)

    assert isinstance(outcome, Rejected)
    assert "The id of account 3 has a “+”, and FreeRADIUS would not find it" in outcome.reason


async def test_an_account_of_another_pattern_is_left_alone(radius, source):
    handler = start(radius.url, source, IDPattern="*@dsl")
    outcome = await deliver(handler)
    await handler.close()

    assert isinstance(outcome, Skipped)
    assert radius.rows() == NOTHING


async def test_an_account_without_a_product_has_no_group(rig, radius, handler):
    rig.sql("UPDATE accounts SET i_product = NULL WHERE i_account = 3")
    await deliver(handler)

    assert radius.rows()["radusergroup"] == []


# ---- a database that fails ----


async def test_a_table_of_another_shape_is_told_of(radius, handler):
    radius.sql("ALTER TABLE radusergroup RENAME COLUMN priority TO weight")
    outcome = await deliver(handler)

    assert isinstance(outcome, RetryLater)
    assert "is it FreeRADIUS's database" in outcome.reason
    radius.sql("ALTER TABLE radusergroup RENAME COLUMN weight TO priority")
    assert radius.rows() == NOTHING


async def test_a_statement_that_fails_undoes_those_before_it(rig, radius, handler):
    """The last one of a new user's, which gives it its group."""
    if isinstance(radius.url, PostgresUrl):
        radius.sql("ALTER TABLE radusergroup ADD CONSTRAINT no CHECK (groupname <> 'LTE')")
    else:
        radius.sql(
            "CREATE TRIGGER no BEFORE INSERT ON radusergroup BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    outcome = await deliver(handler)

    assert isinstance(outcome, Rejected)
    assert radius.rows() == NOTHING


async def test_a_database_of_somebody_else_opens_the_breaker(source, radius):
    radius.sql("DROP TABLE radcheck")
    handler = start(radius.url, source)
    outcome = await deliver(handler)
    await handler.close()

    assert isinstance(outcome, RetryLater)
    assert outcome.refused
    assert "with the tables of its schema.sql?" in outcome.reason


async def test_a_file_that_is_missing_is_not_made(source, tmp_path):
    handler = start(f"sqlite:///{tmp_path}/no.db", source)
    outcome = await deliver(handler)
    await handler.close()

    assert isinstance(outcome, RetryLater)
    assert outcome.refused
    assert "check the path in FreeRADIUS.DatabaseURL" in outcome.reason
    assert not (tmp_path / "no.db").exists()


async def test_a_server_that_is_away_is_tried_again_and_its_password_not_shown(source):
    handler = start("postgresql://espf:very-secret@127.0.0.1:9/radius", source)
    outcome = await deliver(handler)
    await handler.close()

    assert isinstance(outcome, RetryLater)
    assert outcome.refused
    assert "FreeRADIUS's database radius on 127.0.0.1:9" in outcome.reason
    assert "very-secret" not in repr(outcome)


async def test_a_lock_that_is_held_is_waited_for_and_then_tried_again(source, tmp_path):
    with tables(tmp_path, "sqlite") as radius:
        handler = start(radius.url, source, RequestTimeout=0.2)
        with contextlib.closing(radius.connect()) as other:
            other.execute("BEGIN EXCLUSIVE")
            outcome = await deliver(handler)
            assert isinstance(outcome, RetryLater)
            assert not outcome.refused
            assert "another program holds its lock" in outcome.reason
        assert isinstance(await deliver(handler), Delivered)
        await handler.close()


async def test_many_users_are_written_side_by_side(radius, handler, rig):
    rig.script(
        ";".join(
            "INSERT INTO accounts (i_customer, id, h323_password)"
            f" VALUES (2, 'u{n}', '{SEALED}p{n}')"
            for n in range(40)
        )
    )
    accounts = [event("Account/New", "account", n + 4) for n in range(40)]
    outcomes = await asyncio.gather(*(deliver(handler, one) for one in accounts))

    assert all(isinstance(outcome, Delivered) for outcome in outcomes)
    assert {row[0]: row[3] for row in radius.rows()["radcheck"]} == {
        f"u{n}": f"p{n}" for n in range(40)
    }
