"""What capture costs: the same update without triggers, with the gate closed, and with it open.

They take turns on the same database; the ratio is to the update without triggers in the same turn.
Each is done twice in a row, because a table's rows lie differently after every other update.

    python benchmarks/capture.py [--engine both] [--accounts 100000] [--turns 7]
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from support.database import Database, databases
from support.installation import Installed
from support.report import Figure, Report, arguments, chosen, median_ratio

from espf.capture.install import install, remove
from espf.capture.rules import rules

MOST = 1.5
"""The design: a bulk update of accounts with capture takes at most so many times as long."""
CHANGES = {
    "blocked": "blocked = CASE blocked WHEN 'Y' THEN 'N' ELSE 'Y' END",
    "balance": "balance = balance + 0.01",
}
RAISED = ("Account/Blocked", "Account/Unblocked", "Account/BalanceChanged")
GATES = {
    "nobody subscribed": (),
    "an event each": RAISED,
    "an event each, all types subscribed": tuple(sorted(rules().event_types)),
}
SINGLE = 1000
BARE = "no triggers"


class Bench:
    """A database with many accounts of one customer, and the driver's connection to it."""

    def __init__(self, database: Database, accounts: int) -> None:
        self.engine = database.engine
        self.connection: Any = database.connect().driver
        before, source = database.numbers(1, accounts)
        self.run("INSERT INTO customers (name) VALUES ('Bench')")
        self.run(
            f"{before}INSERT INTO accounts (i_customer, id) SELECT 1, 'bench-' || i FROM {source}"
        )
        if self.engine == "postgres":
            self.run("VACUUM (FULL, ANALYZE) accounts")

    def run(self, statement: str) -> None:
        self.connection.execute(statement)

    def bulk_ms(self, change: str) -> float:
        """Update every account; mean of two."""
        return statistics.mean(self._timed(f"UPDATE accounts SET {change}") for _ in range(2))

    def single_us(self, change: str) -> float:
        """Update one account after the other, in one transaction; microseconds for each."""
        self._tidy()
        mark = "?" if self.engine == "sqlite" else "%s"
        statement = f"UPDATE accounts SET {change} WHERE i_account = {mark}"
        self.run("BEGIN")
        began = time.perf_counter()
        for key in range(1, SINGLE + 1):
            self.connection.execute(statement, (key,))
        took = time.perf_counter() - began
        self.run("COMMIT")
        return took / SINGLE * 1_000_000

    def _timed(self, statement: str) -> float:
        self._tidy()
        began = time.perf_counter()
        self.run("BEGIN")
        self.run(statement)
        self.run("COMMIT")
        return (time.perf_counter() - began) * 1000

    def _tidy(self) -> None:
        """What the last one left must not burden the next."""
        self.run("DELETE FROM event" if self.engine == "sqlite" else "TRUNCATE event")
        if self.engine == "postgres":
            self.run("VACUUM accounts")
            self.run("CHECKPOINT")

    def subscribe(self, types: Sequence[str]) -> None:
        self.run("DELETE FROM capture_gate")
        for name in types:
            self.run(f"INSERT INTO capture_gate VALUES ('{name}')")


def measured(bench: Bench, turns: int, one: Callable[[], float]) -> dict[str, list[float]]:
    """One figure for each turn and gate."""
    found: dict[str, list[float]] = {name: [] for name in (BARE, *GATES)}
    for _ in range(turns):
        remove(bench.connection)
        found[BARE].append(one())
        install(bench.connection)
        for name, types in GATES.items():
            bench.subscribe(types)
            found[name].append(one())
    return found


def report_on(
    report: Report, engine: str, what: str, unit: str, found: dict[str, list[float]], most: float
) -> None:
    """A figure for each gate."""
    bare = f"{statistics.median(found[BARE]):.0f} {unit} without triggers"
    for name in GATES:
        ratio = median_ratio(found[name], found[BARE])
        held = most if name == "nobody subscribed" else 0.0
        report.add(
            Figure(
                engine,
                f"{what}, {name}",
                f"{ratio:.2f} times as long",
                ratio,
                beside=bare,
                target=f"<= {held}" if held else "",
                holds=ratio <= held if held else None,
            )
        )


def measure(engine: str, folder: Path, accounts: int, turns: int, report: Report) -> None:
    """All changes on one engine."""
    with databases(engine, folder) as kind:
        database = kind.make()
        Installed(folder, database, [])
        bench = Bench(database, accounts)
        for name, change in CHANGES.items():
            found = measured(bench, turns, lambda change=change: bench.bulk_ms(change))  # type: ignore[misc]
            report_on(report, engine, f"{name} of {accounts:,} accounts", "ms", found, MOST)
        found = measured(bench, turns, lambda: bench.single_us(CHANGES["blocked"]))
        report_on(report, engine, "blocked, one account at a time", "us", found, 0.0)
        bench.connection.close()


def main() -> None:
    """Measure on the engines that were asked for."""
    parser = arguments(__doc__)
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--turns", type=int, default=7)
    options = parser.parse_args()
    report = Report("capture")
    for engine in chosen(options.engine):
        with tempfile.TemporaryDirectory(prefix="espf-bench-") as name:
            measure(engine, Path(name), options.accounts, options.turns, report)
    report.write(options.json)


if __name__ == "__main__":
    main()
