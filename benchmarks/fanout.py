"""A change of a product that many accounts have: how quickly events are derived for all of them.

The yardstick is one plain INSERT … SELECT of the same rows by the driver, one transaction, on the
same database. While they are derived, and while they are sent, other accounts change now and then:
how long those take from commit to wire beside the crowd, and by themselves.

    python benchmarks/fanout.py [--engine both] [--accounts 1000000] [--changes 60]
"""

import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from latency import WireClock, percentile
from support.database import Database, Shell, databases
from support.installation import Engine, HandlerSpec, Installed
from support.report import Figure, Report, arguments, chosen

LEAST = 50_000
"""The design: events a second."""
DISPATCHER = """
[[handler]]
name = "to-accounts"
type = "ProductToAccountsDispatcher"
enabled = true
subscriptions = "all"
"""
CROWD = "Account/AccessPolicy/Changed"
OTHERS = 64


def prepare(espf: Installed, accounts: int) -> None:
    """One customer and one product with so many accounts, and others that have another product."""
    shell = espf.database.connect()
    shell.run("INSERT INTO access_policies (name) VALUES ('first'), ('second')")
    shell.run("INSERT INTO products (name) VALUES ('crowd'), ('other')")
    shell.run("INSERT INTO customers (name) VALUES ('Bench')")
    before, source = espf.database.numbers(1, accounts + OTHERS)
    shell.run(
        f"{before}INSERT INTO accounts (i_customer, id, i_product)"
        f" SELECT 1, 'bench-' || i, CASE WHEN i <= {accounts} THEN 1 ELSE 2 END FROM {source}"
    )
    if espf.database.engine == "postgres":
        shell.run("ANALYZE accounts")
    shell.close()


def plain_s(shell: Shell) -> float:
    """The yardstick: the same rows by one statement; they are taken back."""
    began = time.perf_counter()
    shell.run("BEGIN")
    shell.run(
        "INSERT INTO event (i_env, event_type, entity, entity_id, lane, variables, has_sim, bulk)"
        f" SELECT i_env, '{CROWD}', 'account', i_account, i_account % 64, '{{\"i_account\":'"
        " || i_account || ',\"i_customer\":' || i_customer ||"
        ' \',"prev_i_access_policy":null,"curr_i_access_policy":1}\', 0, 1'
        " FROM accounts WHERE i_product = 1 AND bill_status <> 'C' AND i_access_policy IS NULL"
    )
    took = time.perf_counter() - began
    shell.run("ROLLBACK")
    return took


def derive(database: Database, engine: Engine) -> tuple[int, float, float, float]:
    """Change the product; events, seconds until all are derived, memory before and at most."""
    shell = database.connect()
    before_mb = engine.memory_mb("VmRSS")
    began = time.perf_counter()
    shell.run("UPDATE products SET i_access_policy = 1 WHERE i_product = 1")
    while not shell.value("SELECT count(*) FROM fanout WHERE done = 1"):
        time.sleep(0.02)
        if time.perf_counter() - began > 600:
            raise SystemExit("the fan-out did not end")
    took = time.perf_counter() - began
    derived = int(shell.value("SELECT sum(derived) FROM fanout"))
    shell.close()
    return derived, took, before_mb, engine.memory_mb()


def latencies(
    shell: Shell, wire: WireClock, accounts: int, changes: int, more: Callable[[], bool] = bool
) -> list[float]:
    """Block or unblock one other account after the other: milliseconds from commit to wire.

    So many, and then as long as there is more to wait for.
    """
    taken: list[float] = []
    turn = 0
    while turn < changes or more():
        turn += 1
        shell.run(
            "UPDATE accounts SET blocked = CASE blocked WHEN 'Y' THEN 'N' ELSE 'Y' END"
            f" WHERE id = 'bench-{accounts + 1 + turn % OTHERS}'"
        )
        committed = time.perf_counter()
        i_event = shell.value(
            "SELECT max(i_event) FROM event WHERE entity = 'account' AND entity_id ="
            f" (SELECT i_account FROM accounts WHERE id = 'bench-{accounts + 1 + turn % OTHERS}')"
        )
        while i_event not in wire.arrived:
            time.sleep(0.0005)
            if time.perf_counter() - committed > 30:
                raise SystemExit(f"event {i_event} was not delivered within 30 s")
        taken.append((wire.arrived[i_event] - committed) * 1000)
        time.sleep(0.1)
    return taken


def measure(kind: Database, folder: Path, report: Report, accounts: int, changes: int) -> None:
    """All of one engine."""
    wire = WireClock()
    espf = Installed(folder, kind, ())
    prepare(espf, accounts)
    types = (CROWD, "Account/Blocked", "Account/Unblocked")
    app = HandlerSpec("app", f"http://127.0.0.1:{wire.port}/", subscriptions=types)
    file = folder / "fanout.toml"
    file.write_text(app.toml() + DISPATCHER)
    espf.espf("apply", str(file))
    shell = kind.connect()
    plain = plain_s(shell)
    with espf.engine() as engine:
        time.sleep(2)
        alone = latencies(shell, wire, accounts, changes)
        with ThreadPoolExecutor(1) as pool:
            fanout = pool.submit(derive, kind, engine)
            during = latencies(shell, wire, accounts, 1, lambda: not fanout.done())
            events, took, before_mb, most_mb = fanout.result()
        _report(report, kind.engine, events, took, plain)
        grown = most_mb - before_mb
        figure = f"{grown:.1f} MB"
        report.add(
            Figure(kind.engine, "memory grown", figure, grown, target="≤ 20 MB", holds=grown <= 20)
        )
        beside = latencies(shell, wire, accounts, changes)
        left = events - len(wire.arrived)
    shell.close()
    by_itself = f"{percentile(alone, 0.5):.1f} ms by itself"
    for what, taken, told in (
        ("while they are derived", during, f"{by_itself}; {len(during)} changes"),
        ("while they are sent", beside, f"{by_itself}; {left:,} derived ones still to come"),
    ):
        ms = percentile(taken, 0.5)
        most = f"at most {max(taken):.0f} ms; {told}"
        report.add(
            Figure(
                kind.engine,
                f"another's event {what}, commit to wire, p50",
                f"{ms:.1f} ms",
                ms,
                most,
                "≤ 40 ms",
                ms <= 40,
            )
        )


def _report(report: Report, engine: str, events: int, took: float, plain: float) -> None:
    rate = events / took
    report.add(
        Figure(
            engine,
            f"fan-out to {events:,} accounts",
            f"{rate:,.0f} events/s",
            rate,
            f"{rate * plain / events:.0%} of one plain INSERT of the same rows",
            f"≥ {LEAST:,}/s",
            rate >= LEAST,
        )
    )


def main() -> None:
    """Measure every engine that was asked for."""
    parser = arguments(__doc__)
    parser.add_argument("--accounts", type=int, default=1_000_000)
    parser.add_argument("--changes", type=int, default=60)
    options = parser.parse_args()
    report = Report("fanout")
    for engine in chosen(options.engine):
        with (
            tempfile.TemporaryDirectory(prefix="espf-bench-") as name,
            databases(engine, Path(name)) as kind,
        ):
            measure(kind.make(), Path(name), report, options.accounts, options.changes)
    report.write(options.json)


if __name__ == "__main__":
    main()
