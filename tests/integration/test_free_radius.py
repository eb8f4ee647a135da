"""FreeRADIUS against its own daemon: who gets in, with what, and whose session ends."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from espf.clock import SystemClock
from espf.handlers.contract.handler import ContractHandler
from espf.handlers.free_radius.user import RadiusUser
from espf.handlers.options import read_options
from espf.handlers.port import Attempt, Delivered, HandlerContext, Iteration, Outcome, Skipped
from espf.handlers.types import handler_type
from espf.subscribers.engines import open_subscribers
from espf.subscribers.port import SubscriberSource
from free_radius_rig import SECRET, Nas, Radiusd, attributes, nas, radiusd
from registry_rig import Rig, populate, registry
from subscriber_rig import SEALED, captured, decrypt, event

BLOCKED = event("Account/Blocked", "account", 3)
PASSWORD = "let-me-in-300"

Handler = ContractHandler[RadiusUser]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with registry(tmp_path) as made:
        populate(made)
        made.sql("UPDATE accounts SET h323_password = ?", f"{SEALED}{PASSWORD}")
        made.events()
        yield made


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Radiusd]:
    (tmp_path / "radius").mkdir()
    with radiusd(tmp_path / "radius") as made:
        for group, message in (("LTE", "fast"), ("LTE XL", "faster")):
            made.tables.sql(
                "INSERT INTO radgroupreply (groupname, attribute, op, value)"
                " VALUES (?, 'Reply-Message', ':=', ?)",
                group,
                message,
            )
        yield made


@pytest.fixture
async def source(rig: Rig) -> AsyncIterator[SubscriberSource]:
    made = open_subscribers(rig.url, SystemClock(), decrypt)
    yield made
    await made.close()


def start(server: Radiusd, source: SubscriberSource, **options: object) -> Handler:
    kind = handler_type("FreeRADIUS")
    given = {"DatabaseURL": str(server.tables.url), "DisconnectTimeout": 0.2} | options
    raw = {f"FreeRADIUS.{name}": value for name, value in given.items()}
    settings = read_options(kind.settings, raw, kind.name)
    context = HandlerContext("radius", SystemClock(), subscribers=source)
    started = kind.start(settings, frozenset(), context)
    assert isinstance(started, ContractHandler)
    return started


@pytest.fixture
async def handler(server: Radiusd, source: SubscriberSource) -> AsyncIterator[Handler]:
    made = start(server, source)
    yield made
    await made.close()


async def deliver(handler: Handler, of: object = BLOCKED) -> Outcome | Skipped:
    return await handler.deliver(of, Attempt(1, Iteration(1)))  # type: ignore[arg-type]


async def changed(rig: Rig, handler: Handler, statement: str, *parameters: object) -> str:
    """Change the registry and deliver the events that capture made of it; the answers."""
    rig.sql(statement, *parameters)
    outcomes = [await deliver(handler, one) for one in captured(rig) if not handler.screen(one)]
    assert outcomes
    assert all(isinstance(outcome, Delivered) for outcome in outcomes), outcomes
    return "\n".join(outcome.answer for outcome in outcomes if isinstance(outcome, Delivered))


# ---- who gets in ----


async def test_a_user_gets_in_with_the_password_and_the_attributes_of_the_product(
    rig, server, handler
):
    assert not server.radtest("300", PASSWORD).accepted
    await deliver(handler)

    assert server.radtest("300", PASSWORD) == (True, {"Reply-Message": "fast"})
    assert not server.radtest("300", "another").accepted

    await changed(rig, handler, "UPDATE accounts SET i_product = 2 WHERE i_account = 3")
    assert server.radtest("300", PASSWORD) == (True, {"Reply-Message": "faster"})


async def test_a_blocked_user_is_rejected_until_no_reason_is_left(rig, server, handler):
    await deliver(handler)
    await changed(rig, handler, "UPDATE accounts SET blocked = 'Y' WHERE i_account = 3")
    assert not server.radtest("300", PASSWORD).accepted

    await changed(rig, handler, "UPDATE accounts SET balance = 10 WHERE i_account = 3")
    await changed(rig, handler, "UPDATE accounts SET blocked = 'N' WHERE i_account = 3")
    assert not server.radtest("300", PASSWORD).accepted

    await changed(rig, handler, "UPDATE accounts SET balance = 0 WHERE i_account = 3")
    assert server.radtest("300", PASSWORD) == (True, {"Reply-Message": "fast"})


async def test_a_changed_password_is_the_one_that_counts(rig, server, handler):
    await deliver(handler)
    changing = "UPDATE accounts SET h323_password = ? WHERE i_account = 3"
    await changed(rig, handler, changing, f"{SEALED}new-one")

    assert not server.radtest("300", PASSWORD).accepted
    assert server.radtest("300", "new-one").accepted


async def test_a_user_gets_in_up_to_the_last_day_and_its_session_ends_with_it(rig, server, handler):
    await deliver(handler)
    changing = "UPDATE accounts SET expiration_date = ? WHERE i_account = 3"
    await changed(rig, handler, changing, "2099-12-31")
    answer = server.radtest("300", PASSWORD)
    assert answer.accepted
    assert int(answer.attributes["Session-Timeout"]) > 0
    until = server.tables.sql("SELECT value FROM radcheck WHERE attribute = 'Expiration'")
    assert until == [("4102444800",)]  # 2100-01-01 00:00 UTC

    await changed(rig, handler, changing, "2026-01-31")
    assert not server.radtest("300", PASSWORD).accepted
    server.tables.sql("DELETE FROM radusergroup")  # it would end by itself as well
    assert not server.radtest("300", PASSWORD).accepted


async def test_a_renamed_user_takes_along_what_others_gave_it(rig, server, handler):
    await deliver(handler)
    server.tables.sql(
        "INSERT INTO radreply (username, attribute, op, value)"
        " VALUES ('300', 'Framed-IP-Address', ':=', '10.9.8.7')"
    )
    await changed(rig, handler, "UPDATE accounts SET id = 'ann@dsl' WHERE i_account = 3")

    assert not server.radtest("300", PASSWORD).accepted
    assert server.radtest("ann@dsl", PASSWORD) == (
        True,
        {"Framed-IP-Address": "10.9.8.7", "Reply-Message": "fast"},
    )


async def test_a_closed_user_is_gone(rig, server, handler):
    await deliver(handler)
    await changed(rig, handler, "UPDATE accounts SET bill_status = 'C' WHERE i_account = 3")

    assert not server.radtest("300", PASSWORD).accepted
    assert server.tables.rows() == {"radcheck": [], "radreply": [], "radusergroup": []}


NASTY = (
    '"quoted"',
    "'quoted'",
    "`quoted`",
    "`%{User-Name}`",
    "%{User-Name}",
    "it's `not' \"easy\"",
    "'it's'",
    'back\\slash"',
    " spaces ",
    "päßwörd",
    "x" * 120,
)


async def test_a_password_is_never_taken_for_anything_else(rig, server, handler):
    for password in NASTY:
        rig.sql("UPDATE accounts SET h323_password = ? WHERE i_account = 3", f"{SEALED}{password}")
        assert isinstance(await deliver(handler), Delivered)

        assert server.accepts("300", password), password
        assert not server.accepts("300", "300"), password


async def test_a_products_name_with_odd_characters_still_finds_its_group(rig, server, handler):
    rig.sql("UPDATE products SET name = 'Flat & Fast' WHERE i_product = 1")
    server.tables.sql("UPDATE radgroupreply SET groupname = 'Flat _ Fast' WHERE groupname = 'LTE'")
    await deliver(handler)

    assert server.radtest("300", PASSWORD) == (True, {"Reply-Message": "fast"})


async def test_what_becomes_of_suspended_users_can_be_said_otherwise(rig, server, handler):
    server.tables.sql(
        "INSERT INTO radgroupreply (groupname, attribute, op, value)"
        " VALUES ('suspended', 'Reply-Message', ':=', 'pay first')"
    )
    rig.sql("UPDATE accounts SET blocked = 'Y' WHERE i_account = 3")
    await deliver(handler)

    assert server.radtest("300", PASSWORD) == (True, {"Reply-Message": "pay first"})


# ---- sessions ----


@pytest.fixture
async def access_server() -> AsyncIterator[Nas]:
    async with nas() as made:
        yield made


@pytest.fixture
async def ending(
    server: Radiusd, source: SubscriberSource, access_server: Nas
) -> AsyncIterator[Handler]:
    """A handler that knows the NAS and its secret, by the table."""
    server.tables.sql(
        "INSERT INTO nas (nasname, shortname, secret) VALUES (?, 'test', ?)",
        access_server.host,
        SECRET,
    )
    made = start(server, source, DisconnectPort=access_server.port)
    await deliver(made)
    server.session("300", "abc-1", access_server.host)
    yield made
    await made.close()


BLOCK = "UPDATE accounts SET blocked = 'Y' WHERE i_account = 3"


async def test_after_a_block_the_nas_is_asked_to_end_the_session(rig, ending, access_server):
    answer = await changed(rig, ending, BLOCK)

    (packet,) = access_server.packets
    assert attributes(packet) == {
        1: b"300",
        4: bytes(int(part) for part in access_server.host.split(".")),
        44: b"abc-1",
    }
    assert f"NAS {access_server.host}: Disconnect-ACK" in answer


async def test_a_session_is_asked_to_end_once_and_only_while_its_user_is_barred(
    rig, server, ending, access_server
):
    await changed(rig, ending, BLOCK)
    await deliver(ending)
    await changed(rig, ending, "UPDATE accounts SET blocked = 'N' WHERE i_account = 3")
    assert len(access_server.packets) == 1

    server.session("300", "abc-2", access_server.host)
    await deliver(ending)
    assert len(access_server.packets) == 1

    await changed(rig, ending, "UPDATE accounts SET bill_status = 'C' WHERE i_account = 3")
    assert [attributes(packet)[44] for packet in access_server.packets] == [b"abc-1", b"abc-2"]


async def test_a_request_is_repeated_until_it_is_answered(rig, ending, access_server):
    access_server.answers = [None, b"\x29garbage", (41, b"")]
    answer = await changed(rig, ending, BLOCK)

    assert len(access_server.packets) == 3
    assert len(set(access_server.packets)) == 1
    assert "Disconnect-ACK" in answer


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ([None] * 3, "did not answer on port"),
        ([(42, b"\x65\x06\x00\x00\x01\xf7")], "there is no such session any more"),
        ([(42, b"\x65\x06\x00\x00\x01\x93")], "Disconnect-NAK, Error-Cause 403"),
        ([(42, b"")], "Disconnect-NAK"),
    ],
)
async def test_what_the_nas_does_is_told_and_holds_up_nothing(
    rig, server, ending, access_server, answers, told
):
    access_server.answers = answers
    answer = await changed(rig, ending, BLOCK)

    assert told in answer
    assert not server.radtest("300", PASSWORD).accepted


async def test_an_answer_that_is_not_signed_with_the_secret_is_none(rig, ending, access_server):
    def forged(code: int) -> bytes:
        return bytes((code, 0, 0, 20)) + bytes(16)

    access_server.answers = [forged(41), forged(41), forged(41)]

    assert "did not answer" in await changed(rig, ending, BLOCK)


async def test_a_nas_without_a_known_secret_is_told_of(rig, server, source, access_server):
    handler = start(server, source, DisconnectPort=access_server.port)
    await deliver(handler)
    server.session("300", "abc-1", access_server.host)
    answer = await changed(rig, handler, BLOCK)
    await handler.close()

    assert "was not asked: it is not in the table nas" in answer
    assert access_server.packets == []


async def test_a_real_nas_finds_the_request_signed_as_it_should_be(rig, server, source):
    """radiusd itself takes Disconnect-Requests, and drops those that are signed wrongly."""
    handler = start(server, source, DisconnectSecret=SECRET)
    await deliver(handler)
    server.session("300", "abc-1", server.host)
    assert "Disconnect-ACK" in await changed(rig, handler, BLOCK)
    await handler.close()

    server.session("300", "abc-2", server.host)
    handler = start(server, source, DisconnectSecret="wrong")
    outcome = await deliver(handler)
    await handler.close()
    assert isinstance(outcome, Delivered)
    assert "did not answer" in outcome.answer


async def test_no_secret_is_in_any_outcome_or_log(rig, server, ending, access_server, capfd):
    access_server.answers = [None] * 3
    answers = await changed(rig, ending, BLOCK)
    outcome = await deliver(ending)

    shown = repr(outcome) + answers + "".join(capfd.readouterr())
    assert not [text for text in (PASSWORD, SECRET) if text in shown]
