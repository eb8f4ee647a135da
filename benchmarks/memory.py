"""The engine's memory over a long drain, with one account in a hundred failing all the time.

One process delivers `--events`; its resident memory is noted after each twentieth. Failing events
are tried again every second, ten times, so that events park, are taken up again and are given up.
Flat means: the last tenth holds no more than a tenth above what the first quarter held.

    python benchmarks/memory.py [--engine both] [--events 1000000] [--json FILE]
"""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from support.database import databases
from support.installation import HandlerSpec, Installed
from support.receivers import Counter, python_receiver, rate
from support.report import Figure, Report, arguments, chosen

ACCOUNTS = 10_000
BAD_EACH = 100
STEPS = 20
MOST_MB = 200
OPTIONS = {"Retry.FirstDelay": 1, "Retry.MaxDelay": 1, "Retry.MaxAttempts": 10}


def measure(engine: str, events: int, report: Report) -> None:
    """One long drain."""
    with (
        tempfile.TemporaryDirectory(prefix="espf-bench-") as name,
        databases(engine, Path(name)) as kind,
        python_receiver(Path(name), "--fail-each", str(BAD_EACH)) as receiver,
    ):
        folder, count = Path(name), Counter(receiver.port)
        espf = Installed(folder, kind.make(), [HandlerSpec("bench", receiver.url, options=OPTIONS)])
        espf.add_events(events, ACCOUNTS)
        good = events - events // BAD_EACH
        resident, rates = [], []
        with espf.engine() as running:
            for number in range(STEPS):
                step = good // STEPS
                rates.append(
                    rate(count, number * step, step, [running.process], skip=0, within_s=1800)
                )
                resident.append(running.memory_mb("VmRSS"))
            most_mb = running.memory_mb()
        bad = count.told()["bad"]
    _conclude(report, engine, events, resident, most_mb)
    report.note(f"{engine}: MB after each twentieth: {', '.join(f'{mb:.0f}' for mb in resident)}")
    report.note(f"{engine}: {bad:,} answers were 503")
    report.note(f"{engine}: events/s by twentieth: {', '.join(f'{one:,.0f}' for one in rates)}")


def _conclude(
    report: Report, engine: str, events: int, resident: Sequence[float], most_mb: float
) -> None:
    early, late = max(resident[: STEPS // 4]), max(resident[-STEPS // 10 :])
    growth = late / early
    report.add(
        Figure(
            engine,
            f"most memory over {events:,} events",
            f"{most_mb:.0f} MB",
            most_mb,
            "",
            f"≤ {MOST_MB} MB",
            most_mb <= MOST_MB,
        )
    )
    report.add(
        Figure(
            engine,
            "memory at the end, of the first quarter's",
            f"{growth * 100:.0f} %",
            growth,
            f"{late:.0f} MB and {early:.0f} MB",
            "flat",
            growth <= 1.1,
        )
    )


def main() -> None:
    """Measure every engine that was asked for."""
    parser = arguments(__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    options = parser.parse_args()
    report = Report("memory")
    for engine in chosen(options.engine):
        measure(engine, options.events, report)
    report.write(options.json)


if __name__ == "__main__":
    main()
