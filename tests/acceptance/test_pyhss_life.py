"""The installed command with a PyHSS: changes arrive as state, audits find drift, resyncs mend."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli_rig import ENGINES, Installation, installation, until
from pyhss_server import KEY, PyHss, pyhss_beside

KI, OPC = "00112233445566778899aabbccddeeff", "ffeeddccbbaa99887766554433221100"
TOML = """
[[handler]]
name = "hss"
type = "PyHSS"
subscriptions = "all"
[handler.options]
"PyHSS.URL" = "{url}"
"PyHSS.ProvisioningKey" = "env:HSS_KEY"
"PyHSS.DefaultAPN" = 1
"PyHSS.IMS" = true
"Retry.FirstDelay" = 0.2
"""


@pytest.fixture(params=ENGINES)
def installed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    with installation(tmp_path, request.param) as made:
        yield made


@pytest.fixture
def hss(installed: Installation) -> Iterator[PyHss]:
    with pyhss_beside() as made:
        installed.environment["HSS_KEY"] = KEY
        installed.ok("apply", installed.write("handlers.toml", TOML.format(url=made.url)))
        yield made


def imsi(n: int) -> str:
    return f"00101{n:010}"


def add_subscribers(installed: Installation, count: int) -> None:
    numbers = range(1, count + 1)
    cards = ["imsi,ki,opc", *(f"{imsi(n)},{KI},{OPC}" for n in numbers)]
    accounts = ["id,i_customer,role,imsi", *(f"49{n:06},1,mobile,{imsi(n)}" for n in numbers)]
    installed.ok("registry", "add", "customer", "name=Easy Call")
    for entity, lines in (("sim_card", cards), ("account", accounts)):
        installed.ok("registry", "import", entity, installed.write("rows.csv", "\n".join(lines)))


def lines(hss: PyHss) -> dict[str, tuple[Any, ...]]:
    return {row["imsi"]: (row["msisdn"], row["enabled"]) for row in hss.rows("subscriber")}


def standing(installed: Installation, i_account: int) -> list[tuple[str, str, str]]:
    shown = installed.record("registry", "show", "account", str(i_account))["provisioning"]
    return [(one["group"], one["status"], one["message"]) for one in shown]


def test_the_account_shows_how_it_is_provisioned(installed: Installation, hss: PyHss):
    with installed.running("instance"):
        add_subscribers(installed, 2)
        until(lambda: standing(installed, 1) == [("HSS", "OK", "")], "provisioned")
        hss.trouble["PATCH subscriber"] = [(429, b"")] * 3
        installed.ok("registry", "update", "account", "1", "blocked=Y")
        busy = "PyHSS answered PATCH /subscriber/1 with HTTP 429"
        until(lambda: standing(installed, 1) == [("HSS", "RETRY", busy)], "being tried again")
        until(lambda: standing(installed, 1) == [("HSS", "OK", "")], "provisioned at last")
        installed.ok("registry", "update", "account", "1", "id=ann")
        until(lambda: standing(installed, 1)[0][1] == "FAILED", "a number that is none")
        assert "is no number, so it has no MSISDN" in standing(installed, 1)[0][2]
        installed.ok(
            "registry", "status", "id=49000002", "IPTV", "IN_PROGRESS", "--message", "soon"
        )
        until(
            lambda: standing(installed, 2) == [("HSS", "OK", ""), ("IPTV", "IN_PROGRESS", "soon")],
            "two groups",
        )
    shown = installed.ok("registry", "show", "account", "2")
    assert "IPTV" in shown
    assert "IN_PROGRESS" in shown

    installed.ok("registry", "update", "account", "1", "id=4977")
    assert "1 mended" in installed.ok("handlers", "resync", "hss", "--all", "--rate", "1000")
    assert standing(installed, 1) == [("HSS", "OK", "")]


def test_subscribers_live_on_the_hss_as_in_the_registry(installed: Installation, hss: PyHss):
    with installed.running("instance"):
        add_subscribers(installed, 2)
        until(lambda: len(hss.rows("ims_subscriber")) == 2, "two subscribers")
        hss.trouble["PATCH subscriber"] = [(400, {"reason": f"(OperationalError) busy ki={KI}"})]
        installed.ok("registry", "update", "account", "id=49000001", "blocked=Y")
        until(lambda: lines(hss)[imsi(1)] == ("49000001", False), "the block, at a second try")
        installed.ok("registry", "update", "account", "id=49000001", "blocked=N", "id=4977")
        until(lambda: lines(hss)[imsi(1)] == ("4977", True), "the unblocking and a new number")
        installed.ok("registry", "add", "sim_card", f"imsi={imsi(3)}", f"ki={KI}", f"opc={OPC}")
        installed.ok("registry", "update", "account", "id=4977", f"imsi={imsi(3)}")
        until(lambda: set(lines(hss)) == {imsi(2), imsi(3)}, "the swap")
        installed.ok("registry", "update", "account", "id=4977", "bill_status=C")
        until(lambda: len(hss.rows("auc")) == 1, "the removal")

    events = installed.record("events", "list")
    assert {one["status"] for one in events} <= {"finished", "skipped"}
    assert KI not in json.dumps(events)
    for secret in (KI, OPC, KEY):
        assert secret.encode() not in installed.stored()
    assert installed.ok("handlers", "audit", "hss").startswith("2 right, 0 missing, 0 extra")


def test_drift_made_by_hand_is_found_and_mended(installed: Installation, hss: PyHss):
    add_subscribers(installed, 4)
    dry = installed.ok("handlers", "resync", "hss", "--all", "--dry-run")
    assert dry.count("create card") == 4
    assert KI not in dry
    assert hss.writes == []
    installed.ok("handlers", "resync", "hss", "--all", "--rate", "1000")
    for sql in (
        f"DELETE FROM subscriber WHERE imsi = '{imsi(2)}'",
        f"UPDATE ims_subscriber SET ifc_path = 'x' WHERE imsi = '{imsi(3)}'",
        f"UPDATE subscriber SET imsi = '{imsi(9)}' WHERE imsi = '{imsi(4)}'",
    ):
        hss.sql.execute(sql)

    found = installed.run("handlers", "audit", "hss")

    assert found.returncode == 1
    assert "1 right, 0 missing, 1 extra, 3 different, 0 unfit, 0 unread" in found.stdout
    hss.sql.execute(f"DELETE FROM subscriber WHERE imsi = '{imsi(9)}'")
    assert "3 mended, 1 right" in installed.ok("handlers", "resync", "hss", "--all")
    assert installed.ok("handlers", "audit", "hss").startswith("4 right")
