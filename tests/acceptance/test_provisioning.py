"""The installed command with an HSS: changes arrive as state, audits find drift, resyncs mend."""

import csv
import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli_rig import ENGINES, ESPF, Installation, handlers_toml, installation, until
from yate_server import SECRET, Yate, yate_beside

KI, OPC = "00112233445566778899aabbccddeeff", "ffeeddccbbaa99887766554433221100"
TOML = """
[[handler]]
name = "hss"
type = "Yate HSS"
subscriptions = "all"
[handler.options]
"YateHSS.URL" = "{url}"
"YateHSS.APISecret" = "env:HSS_SECRET"
"Retry.FirstDelay" = 0.2
"""


@pytest.fixture(params=ENGINES)
def installed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    with installation(tmp_path, request.param) as made:
        yield made


@pytest.fixture
def hss(installed: Installation) -> Iterator[Yate]:
    with yate_beside() as made:
        installed.environment["HSS_SECRET"] = SECRET
        installed.ok("apply", installed.write("handlers.toml", TOML.format(url=made.url)))
        yield made


def imsi(n: int) -> str:
    return f"00101{n:010}"


def add_subscribers(installed: Installation, count: int, first: int = 1) -> None:
    numbers = range(first, first + count)
    cards = ["imsi,ki,opc", *(f"{imsi(n)},{KI},{OPC}" for n in numbers)]
    accounts = ["id,i_customer,role,imsi", *(f"49{n:06},1,mobile,{imsi(n)}" for n in numbers)]
    if first == 1:
        installed.ok("registry", "add", "customer", "name=Easy Call")
    for entity, lines in (("sim_card", cards), ("account", accounts)):
        installed.ok("registry", "import", entity, installed.write("rows.csv", "\n".join(lines)))


def last(installed: Installation) -> dict[str, Any]:
    return installed.record("events", "list")[0]


def test_a_subscriber_lives_on_the_hss_as_in_the_registry(
    installed: Installation, hss: Yate
) -> None:
    with installed.running("instance", "--name", "one"):
        add_subscribers(installed, 2)
        until(lambda: len(hss.subscribers) == 2, "two subscribers")
        installed.ok("registry", "update", "account", "id=49000001", "blocked=Y")
        until(lambda: not any(hss.sims[imsi(1)].services.values()), "the block")
        installed.ok("registry", "update", "account", "id=49000001", "blocked=N", "id=4977")
        until(lambda: all(hss.sims[imsi(1)].services.values()), "the unblocking")
        until(lambda: hss.subscribers["1"]["msisdn"] == "4977", "the new number")
        installed.ok("registry", "add", "sim_card", f"imsi={imsi(3)}", f"ki={KI}", f"opc={OPC}")
        installed.ok("registry", "update", "account", "id=4977", f"imsi={imsi(3)}")
        until(lambda: set(hss.sims) == {imsi(2), imsi(3)}, "the swap")
        hss.trouble["del_sim"] = [(200, {"code": 300, "message": f"lost ki={KI}"})]
        installed.ok("registry", "update", "account", "id=4977", "bill_status=C")
        until(lambda: set(hss.sims) == {imsi(2)}, "the removal after an unclear answer")
        assert {one["verdict"] for one in installed.record("doctor")} <= {"ok", "warn"}
        installed.ok("registry", "add", "account", "id=4900", "i_customer=1")
        until(lambda: last(installed)["status"] == "finished", "an account without a card")

    assert last(installed)["reason"] == ("account 3 has no SIM card that YateHSS is concerned with")
    statuses = {one["status"] for one in installed.record("events", "list")}
    assert statuses <= {"finished", "skipped"}
    attempts = json.dumps(installed.record("events", "list"))
    assert KI not in attempts
    assert KI.encode() not in installed.stored()
    assert SECRET.encode() not in installed.stored()
    assert installed.ok("handlers", "audit", "hss").startswith("2 right, 0 missing")


def test_drift_made_by_hand_is_found_and_mended(installed: Installation, hss: Yate) -> None:
    add_subscribers(installed, 5)
    dry = installed.ok("handlers", "resync", "hss", "--all", "--dry-run")
    assert dry.count("set card") == 5
    assert KI not in dry
    assert hss.sims == {}
    installed.ok("handlers", "resync", "hss", "--all", "--rate", "1000")
    assert len(hss.sims) == 5
    del hss.sims[imsi(2)]
    hss.registered.add(("cs", imsi(4)))
    installed.ok("registry", "update", "account", "id=49000003", "blocked=Y")
    installed.ok("registry", "update", "account", "id=49000004", "bill_status=C")

    found = installed.run("handlers", "audit", "hss", "--csv", "drift.csv")

    assert found.returncode == 1
    assert "2 right, 1 missing, 1 extra, 1 different, 0 unfit, 0 unread" in found.stdout
    assert "cannot be listed" in found.stdout
    with (installed.folder / "drift.csv").open() as file:
        rows = [(row["verdict"], row["identity"]) for row in csv.DictReader(file)]
    assert rows == [("missing", imsi(2)), ("different", imsi(3)), ("extra", imsi(4))]

    assert "mended" in installed.ok("handlers", "resync", "hss", "--account", "id=49000002")
    assert imsi(2) in hss.sims
    assert "2 mended, 3 right" in installed.ok("handlers", "resync", "hss", "--all")
    assert installed.ok("handlers", "audit", "hss").startswith("5 right")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_resync_that_is_ended_goes_on_where_it_was(
    installed: Installation, hss: Yate, how: signal.Signals
) -> None:
    add_subscribers(installed, 60)
    words = ["handlers", "resync", "hss", "--all", "--rate", "25"]
    with subprocess.Popen(
        [ESPF, *words],
        env=installed.environment,
        cwd=installed.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        until(lambda: len(hss.subscribers) >= 40, "some of them")
        process.send_signal(how)
        _, told = process.communicate(timeout=20)
    assert process.returncode in (-how, 1)
    if how == signal.SIGINT:
        assert "Run the same command again to go on" in told
    hss.asked.clear()

    again = installed.ok(*words[:-1], "1000")

    assert "Going on behind account" in again
    assert len(hss.sims) == 60
    assert len(hss.asked) < 45 * 4
    assert "60 right" in installed.ok("handlers", "audit", "hss")


def test_what_cannot_be_done_is_refused_with_the_reason(installed: Installation, hss: Yate) -> None:
    installed.ok("apply", installed.write("sender.toml", handlers_toml().replace("hss", "web")))

    for words, reason in (
        (["audit", "web"], "is of type EventSender, which sends events"),
        (["audit", "hs"], "There is no handler named"),
        (["resync", "hss", "--account", "id=nobody"], "There is no account id=nobody"),
    ):
        done = installed.run("handlers", *words)
        assert done.returncode == 1
        assert reason in done.stderr
    both = installed.run("handlers", "resync", "hss", "--all", "--account", "1")
    assert both.returncode == 2


@pytest.mark.parametrize("installed", ["sqlite"], indirect=True)
def test_a_card_without_ki_and_a_wrong_secret_are_told_of(
    installed: Installation, hss: Yate
) -> None:
    add_subscribers(installed, 2)
    installed.ok("registry", "update", "sim_card", f"imsi={imsi(1)}", "ki=")
    done = installed.run("handlers", "resync", "hss", "--account", "1")
    assert done.returncode == 1
    assert "has no Ki; give it one" in done.stdout

    hss.secret_header = "another"
    done = installed.run("handlers", "resync", "hss", "--account", "2")
    assert done.returncode == 1
    assert "correct YateHSS.APISecret or YateHSS.AuthHeader" in done.stdout
    audit = installed.run("handlers", "audit", "hss", "--json")
    assert audit.returncode == 1
    assert json.loads(audit.stdout)["counts"] == {"unfit": 1, "unread": 1}
