"""What capture costs: a bulk update of accounts without triggers, with the gate closed, and open.

The three take turns on the same SQLite file, `synchronous=FULL`; medians and the ratio to the
update without triggers, within each turn.

    python benchmarks/capture.py [--accounts 100000] [--turns 5]
"""

import argparse
import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from delivery import Installation
from receiver_nginx import Receiver

from espf.capture.install import install, remove

CHANGES = {
    "blocked": "UPDATE accounts SET blocked = CASE blocked WHEN 'Y' THEN 'N' ELSE 'Y' END",
    "balance": "UPDATE accounts SET balance = balance + 0.01",
}
TYPES = ("Account/Blocked", "Account/Unblocked", "Account/BalanceChanged")


def add_accounts(connection: sqlite3.Connection, accounts: int) -> None:
    """Fill up to `accounts` accounts, by copying the last one."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
        " INSERT INTO accounts (i_env, i_customer, id)"
        " SELECT a.i_env, a.i_customer, 'bench-' || n.i FROM n"
        " JOIN accounts AS a ON a.i_account = (SELECT max(i_account) FROM accounts)",
        (accounts,),
    )
    connection.execute("COMMIT")


def timed(connection: sqlite3.Connection, change: str) -> float:
    """Seconds that the change takes, commit included."""
    began = time.perf_counter()
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(change)
    connection.execute("COMMIT")
    return time.perf_counter() - began


def gate(connection: sqlite3.Connection, *, opened: bool) -> None:
    """Subscribe somebody to the types, or nobody."""
    connection.execute("DELETE FROM capture_gate")
    if opened:
        connection.executemany("INSERT INTO capture_gate VALUES (?)", [(name,) for name in TYPES])


def main() -> None:
    """Measure on SQLite."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="espf-bench-") as name:
        espf = Installation(Path(name), Receiver(9), 64)
        connection = sqlite3.connect(espf.path, timeout=30, isolation_level=None)
        connection.execute("PRAGMA synchronous=FULL")
        gate(connection, opened=False)
        add_accounts(connection, options.accounts)
        for what, change in CHANGES.items():
            bare, closed, opened = [], [], []
            for _ in range(options.turns):
                remove(connection)
                bare.append(timed(connection, change))
                install(connection)
                gate(connection, opened=False)
                closed.append(timed(connection, change))
                gate(connection, opened=True)
                opened.append(timed(connection, change))
            print(
                f"sqlite, {what} of {options.accounts:,} accounts: {ratio(closed, bare):.2f} times "
                f"as long with nobody subscribed, {ratio(opened, bare):.2f} times with an event "
                f"each (without triggers {statistics.median(bare) * 1000:.0f} ms)"
            )
        connection.close()


def ratio(these: list[float], those: list[float]) -> float:
    """Median of the ratios turn by turn."""
    return statistics.median(a / b for a, b in zip(these, those, strict=True))


if __name__ == "__main__":
    main()
