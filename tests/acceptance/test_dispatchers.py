"""The installed command with dispatchers: the handbook's example, and a fan-out that is killed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli_rig import ENGINES, KEY, Installation, handlers_toml, installation, until

DISPATCHERS = """
[[handler]]
name = "to-accounts"
type = "CustomerToAccountsDispatcher"
subscriptions = "all"
"""
SUBSCRIBED = '"Account/New", "Account/Blocked", "Account/Unblocked"'
FUNDS = (
    '"Account/ZeroAvailableFunds", "Account/AvailableFundsAppear", "Customer/ZeroAvailableFunds"'
)
ACCOUNTS = 30_000


@pytest.fixture(params=ENGINES)
def installed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    with installation(tmp_path, request.param) as made:
        yield made


def test_a_customer_without_funds_takes_its_subordinate_accounts_with_it(
    installed: Installation,
) -> None:
    """Step 8 of the handbook's example (domain, 9)."""
    receiver = ["receiver", "--port", "0", "--auth", "Basic", "--user", "espf"]
    receiver += ["--record", "received.jsonl"]
    record = installed.folder / "received.jsonl"

    def received() -> list[dict[str, Any]]:
        lines = record.read_text().splitlines() if record.exists() else []
        return [json.loads(line)["event"] for line in lines]

    with installed.running(*receiver, ESPF_RECEIVER_KEY=KEY) as (_, line):
        url = line.split()[-1] + "events"
        toml = handlers_toml(url).replace(SUBSCRIBED, FUNDS) + DISPATCHERS
        installed.ok("apply", installed.write("handlers.toml", toml))
        installed.ok("registry", "add", "customer", "name=Easy Call", "credit_limit=10")
        for words in (
            ("id=1", "balance_control=subordinate"),
            ("id=2", "balance_control=individual", "credit_limit=5"),
            ("id=3", "billing_model=-1", "opening_balance=7"),
        ):
            installed.ok("registry", "add", "account", "i_customer=1", *words)
        with installed.running("instance", "--name", "one"):
            installed.ok("registry", "charge", "customer", "1", "10")
            until(lambda: len(received()) == 2, "the customer's event and the account's")
            installed.ok("registry", "charge", "customer", "1", "1")
            installed.ok("registry", "topup", "customer", "1", "5")
            until(lambda: len(received()) == 3, "the reverse")

    told = [(one["event_type"], one["variables"].get("i_account")) for one in received()]
    assert told == [
        ("Customer/ZeroAvailableFunds", None),
        ("Account/ZeroAvailableFunds", 1),
        ("Account/AvailableFundsAppear", 1),
    ]
    derived = received()[1]["variables"]
    assert derived["prev_available_funds"] > 0 >= derived["curr_available_funds"]
    [account] = installed.record("events", "list", "--type", "Account/ZeroAvailableFunds")
    shown = installed.record("events", "show", str(account["i_event"]))
    assert shown["caused_by"] == shown["i_event"] - 1


def test_a_fan_out_that_is_killed_again_and_again_leaves_neither_a_gap_nor_a_double(
    installed: Installation,
) -> None:
    installed.ok("apply", installed.write("handlers.toml", handlers_toml() + DISPATCHERS))
    installed.ok("handlers", "pause", "hss")
    installed.ok("registry", "add", "customer", "name=Crowd")
    source = (
        f"(WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < {ACCOUNTS})"
        " SELECT i FROM n) AS n"
        if installed.url.engine == "sqlite"
        else f"generate_series(1, {ACCOUNTS}) AS n(i)"
    )
    installed.sql(f"INSERT INTO accounts (i_customer, id) SELECT 1, 'm' || i FROM {source}")
    installed.sql("UPDATE customers SET blocked = 'Y' WHERE i_customer = 1")

    def reached() -> int:
        return sum(after for (after,) in installed.sql("SELECT after_key FROM fanout"))

    kills = stood = 0
    while reached() < ACCOUNTS:
        with installed.running("instance", "--name", "one", ESPF_LEASE_S="1") as (process, _):
            until(lambda before=stood: reached() > before, "another portion")  # type: ignore[misc]
            process.kill()
            process.wait()
        stood, kills = reached(), kills + 1

    with installed.running("instance", "--name", "one", ESPF_LEASE_S="1"):
        until(lambda: installed.sql("SELECT done FROM fanout") == [(1,)], "its end")
    counts = "SELECT count(*), count(DISTINCT entity_id), min(bulk) FROM event WHERE caused_by > 0"
    assert installed.sql(counts) == [(ACCOUNTS, ACCOUNTS, 1)]
    assert kills >= 2
