"""An osmo-hlr that somebody has changed by hand: the installed command finds each of it, mends it.

`make audit` plays it with 10,000 subscribers; `make test` with fewer.
"""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from cli_rig import Installation
from osmo_hlr_rig import OsmoHlrServer, osmo_hlr

SUBSCRIBERS = int(os.environ.get("AUDIT_SUBSCRIBERS", "200"))
DRIFTED = max(SUBSCRIBERS // 100, 8)
"""1 %, and each kind once at least."""
LIMIT_S = 60 + SUBSCRIBERS / 20

HANDLER = """
[[handler]]
name = "hlr"
type = "OsmoHLR"
subscriptions = "all"
[handler.options]
Concurrency = 16
"OsmoHLR.Host" = "{host}"
"""


def imsi(n: int) -> str:
    return f"00101{n:010}"


def key(n: int, of: str) -> str:
    return f"{of}{n:031x}"


class Network:
    """The registry and an osmo-hlr that was filled from it."""

    def __init__(self, espf: Installation, hlr: OsmoHlrServer) -> None:
        self.espf = espf
        self.hlr = hlr

    def fill(self) -> None:
        numbers = range(1, SUBSCRIBERS + 1)
        cards = [f"{imsi(n)},{key(n, 'a')},{key(n, 'b')}" for n in numbers]
        accounts = [f"{49_000_000_000 + n}@msisdn,1,mobile,{imsi(n)}" for n in numbers]
        self.espf.ok("registry", "add", "customer", "name=Easy Call")
        for entity, head, rows in (
            ("sim_card", "imsi,ki,opc", cards),
            ("account", "id,i_customer,role,imsi", accounts),
        ):
            file = self.espf.write(f"{entity}.csv", "\n".join([head, *rows, ""]))
            self.timed(f"import of {entity}", "registry", "import", entity, file)
        toml = self.espf.write("handlers.toml", HANDLER.format(host=self.hlr.host))
        self.espf.ok("apply", toml)
        self.resync()

    def resync(self) -> None:
        self.timed("resync", "handlers", "resync", "hlr", "--all", "--rate", "10000")

    def audit(self) -> Any:
        text = self.timed("audit", "handlers", "audit", "hlr", "--json", "--csv", "found.csv")
        return json.loads(text)

    def timed(self, what: str, *words: str) -> str:
        """Run a command that may find something (exit 1); say how long it took."""
        began = time.monotonic()
        done = self.espf.run(*words, limit_s=LIMIT_S)
        assert done.returncode in (0, 1), done.stderr
        print(f"{what} of {SUBSCRIBERS}: {time.monotonic() - began:.1f} s")
        return done.stdout


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    with osmo_hlr(tmp_path) as hlr:
        made = Network(Installation(tmp_path), hlr)
        made.fill()
        yield made


BY_HAND: tuple[tuple[str, str], ...] = (
    ("missing", "DELETE FROM subscriber WHERE imsi = ?"),
    ("different", "UPDATE subscriber SET msisdn = NULL WHERE imsi = ?"),
    ("different", "UPDATE subscriber SET msisdn = '9' || substr(imsi, 6) WHERE imsi = ?"),
    ("different", "UPDATE subscriber SET nam_cs = 0 WHERE imsi = ?"),
    ("different", "UPDATE subscriber SET nam_ps = 0 WHERE imsi = ?"),
    ("different", f"UPDATE auc_2g SET ki = '{'c' * 32}' WHERE {{id}}"),
    ("different", f"UPDATE auc_3g SET opc = '{'d' * 32}' WHERE {{id}}"),
    ("different", "DELETE FROM auc_3g WHERE {id}"),
)
ID = "subscriber_id = (SELECT id FROM subscriber WHERE imsi = ?)"


def drift(hlr: OsmoHlrServer) -> set[tuple[str, str]]:
    """Change 1 % at random, half of a percent more are strangers. Returns what must be found."""
    random = Random(10_000)
    chosen = random.sample(range(1, SUBSCRIBERS + 1), DRIFTED)
    wanted = set()
    for place, n in enumerate(chosen):
        verdict, sql = BY_HAND[place % len(BY_HAND)]
        hlr.sql(sql.format(id=ID), [(imsi(n),)])
        wanted.add((verdict, imsi(n)))
    for n in range(max(DRIFTED // 2, 1)):
        hlr.sql("INSERT INTO subscriber (imsi) VALUES (?)", [(f"99970{n:010}",)])
        wanted.add(("extra", f"99970{n:010}"))
    return wanted


def counted(wanted: set[tuple[str, str]]) -> dict[str, int]:
    verdicts = [verdict for verdict, _ in wanted]
    return {verdict: verdicts.count(verdict) for verdict in dict.fromkeys(verdicts)}


@pytest.mark.timeout(LIMIT_S * 8)
def test_an_audit_finds_what_was_changed_by_hand_to_the_last_one_and_a_resync_mends_it(network):
    before = network.audit()
    assert before == {"counts": {"right": SUBSCRIBERS}, "findings": []}

    wanted = drift(network.hlr)
    report = network.audit()

    found = {(one["verdict"], one["identity"]) for one in report["findings"]}
    assert found == wanted
    right = SUBSCRIBERS - DRIFTED
    assert report["counts"] == {"right": right, **counted(wanted)}
    csv = (network.espf.folder / "found.csv").read_text()
    assert {line.split(",")[2] for line in csv.splitlines()[1:]} == {name for _, name in wanted}
    shown = csv + json.dumps(report)
    assert not [text for text in ("c" * 32, "d" * 32, key(1, "a")[:20]) if text in shown]

    network.resync()
    after = network.audit()

    strangers = {one for one in wanted if one[0] == "extra"}
    assert {(one["verdict"], one["identity"]) for one in after["findings"]} == strangers
    assert after["counts"] == {"right": SUBSCRIBERS, "extra": len(strangers)}
    assert_all_right(network.hlr)


def assert_all_right(hlr: OsmoHlrServer) -> None:
    rows = hlr.rows()
    for n in range(1, SUBSCRIBERS + 1):
        keys = (key(n, "a"), key(n, "a"), key(n, "b"))
        assert rows[imsi(n)] == (str(49_000_000_000 + n), 1, 1, *keys)
