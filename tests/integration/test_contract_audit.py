"""An audit finds every difference, each once, and nothing that is right."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from random import Random

import pytest

from espf.clock import SystemClock
from espf.handlers.contract.audit import Audit, Finding, Report
from espf.handlers.contract.failures import NotNow
from espf.subscribers.engines import open_subscribers
from espf.subscribers.port import SubscriberSource
from espf.subscribers.secret import Secret
from registry_rig import Rig, registry
from subscriber_rig import KI, Entry, Hss, decrypt, equip, started

ONE, TWO, THREE = "001010000000001", "001010000000002", "001010000000003"


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with registry(tmp_path) as made:
        equip(made)
        yield made


@pytest.fixture
async def source(rig: Rig) -> AsyncIterator[SubscriberSource]:
    made = open_subscribers(rig.url, SystemClock(), decrypt)
    yield made
    await made.close()


@pytest.fixture(params=[True, False], ids=["listed", "by account"])
def hss(request) -> Hss:
    """A far side that is as the registry wants it."""
    made = Hss()
    made.can_list = request.param
    for card, imsi in enumerate((ONE, TWO, THREE), 1):
        made.entries[imsi] = right(card)
    return made


def right(card: int) -> Entry:
    return Entry(Secret(f"{KI[:-1]}{card}"), f"{card}00", active=True)


async def audit(hss: Hss, source: SubscriberSource) -> Report:
    looker = started(hss, source).provisioner.looker
    return await Audit(looker, 3).run(lambda _done: None)


async def test_what_is_right_is_no_finding_and_nothing_is_changed(hss, source):
    report = await audit(hss, source)

    assert report.findings == []
    assert report.counts == {"right": 3}
    assert report.listed == hss.can_list
    assert hss.steps == []


async def test_missing_different_and_extra_are_told_apart(hss, source, rig):
    del hss.entries[ONE]
    hss.entries[TWO] = Entry(right(2).ki, "299", active=True)
    rig.sql("UPDATE accounts SET bill_status = 'C' WHERE i_account = 3")

    report = await audit(hss, source)

    assert report.counts == {"missing": 1, "different": 1, "extra": 1}
    assert report.findings == [
        Finding(
            "missing",
            1,
            ONE,
            f"create entry {ONE}: ki=…; set number {ONE}: msisdn=100; "
            f"set service {ONE}: active=True",
        ),
        Finding("different", 2, TWO, f"drop number {TWO}; set number {TWO}: msisdn=200"),
        Finding("extra", 3, THREE, f"remove entry {THREE}"),
    ]
    assert hss.steps == []


async def test_one_that_nobody_claims_is_found_where_the_system_can_be_listed(hss, source):
    hss.entries["999990000000001"] = right(9)

    report = await audit(hss, source)

    extra = Finding("extra", None, "999990000000001", "remove entry 999990000000001")
    assert report.findings == ([extra] if hss.can_list else [])


async def test_a_wrong_key_is_different_and_not_shown(hss, source):
    hss.entries[ONE] = Entry(Secret("ff" * 16), "100", active=True)

    (finding,) = (await audit(hss, source)).findings

    assert finding.verdict == "different"
    assert finding.details == f"create entry {ONE}: ki=…"


async def test_data_that_do_not_suffice_are_unfit(hss, source, rig):
    rig.sql("UPDATE sim_cards SET ki = '' WHERE i_sim_card = 1")

    report = await audit(hss, source)

    assert [(one.verdict, one.i_account) for one in report.findings][:1] == [("unfit", 1)]
    assert "has no Ki" in report.findings[0].details


async def test_what_cannot_be_read_is_unread(hss, source):
    if hss.can_list:
        return
    hss.on_read = [NotNow("down")] * 6

    report = await audit(hss, source)

    assert report.counts["unread"] == 3
    assert report.findings[0].details == "down"


async def test_a_difference_that_is_gone_at_the_second_look_is_no_finding(hss, source):
    if hss.can_list:
        return
    hss.on_read = [NotNow("for a moment")]

    assert (await audit(hss, source)).findings == []


async def test_one_percent_of_drift_is_found_to_the_last_one(hss, source, rig):
    count, random = 400, Random(4)
    for n in range(count):
        rig_sql(rig, n)
    for account in range(4, 4 + count):
        imsi = f"0010200{account:08}"
        hss.entries[imsi] = Entry(Secret(KI), f"77{account}", active=True)
    drifted = random.sample(sorted(hss.entries), 4)
    for imsi in drifted:
        hss.entries[imsi] = Entry(hss.entries[imsi].ki, None, active=True)

    report = await audit(hss, source)

    assert sorted(one.identity for one in report.findings) == sorted(drifted)
    assert report.counts == {"right": count + 3 - 4, "different": 4}


def rig_sql(rig: Rig, n: int) -> None:
    account = n + 4
    rig.script(
        f"INSERT INTO sim_cards (imsi, ki) VALUES ('0010200{account:08}', 'sealed:{KI}');"
        "INSERT INTO accounts (i_customer, id, i_sim_card)"
        f" VALUES (2, '77{account}', {account})"
    )
