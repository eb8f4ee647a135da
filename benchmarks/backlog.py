"""A backlog of ten million events: its drain rate beside an empty log's, and the engine's memory.

Two databases: a small one gets `--drain` events at a time, in the large one `--events` wait. In
each round the small one is drained, as much of the large one, and the small one again, each by a
fresh engine; the receiver tells the rate. With `--whole` all of the backlog is drained at the end,
in one go, and the engine's memory is noted on the way.

    python benchmarks/backlog.py [--engine both] [--events 10000000] [--drain 200000] [--rounds 3]
        [--whole] [--json FILE]
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from support.database import databases
from support.installation import HandlerSpec, Installed
from support.receivers import Counter, quick_receiver, rate
from support.report import Figure, Report, arguments, chosen, median_ratio

MOST_MB = 200
STEPS = 10


class Bench:
    """The small and the large log, to one receiver."""

    def __init__(self, small: Installed, large: Installed, count: Counter, report: Report) -> None:
        self.small = small
        self.large = large
        self.report = report
        self._count = count

    def fill(self, events: int) -> None:
        """Make the backlog."""
        began = time.monotonic()
        self.large.add_events(events)
        shell = self.large.database.connect()
        if self.large.database.engine == "postgres":
            shell.run("VACUUM ANALYZE event")  # as autovacuum would have done in the meantime
        shell.close()
        self.report.note(
            f"{self.large.database.engine}: {events:,} events written in "
            f"{time.monotonic() - began:.0f} s"
        )

    def drain(self, espf: Installed, events: int) -> tuple[float, float]:
        """Events a second, and the most memory, of a fresh engine that delivers so many."""
        began = self._count()
        with espf.engine() as engine:
            found = rate(self._count, began, events, [engine.process], skip=0.1)
            return found, engine.memory_mb()

    def whole(self) -> tuple[list[float], list[float]]:
        """Drain all that is left, in ten steps: events a second and memory after each."""
        rates, memory = [], []
        shell = self.large.database.connect()
        events = shell.value(
            "SELECT (SELECT max(i_event) FROM event) - min(position)"
            " FROM lane_cursor WHERE lane < 64"
        )
        shell.close()
        began = self._count()
        with self.large.engine() as engine:
            for _ in range(STEPS):
                rates.append(
                    rate(self._count, began, events // STEPS, [engine.process], within_s=3600)
                )
                began += events // STEPS
                memory.append(engine.memory_mb("VmRSS"))
        return rates, memory


def measure(
    engine: str, count: Counter, url: str, folder: Path, report: Report, sizes: Sequence[int]
) -> None:
    """All of one engine; `sizes` are events, drain, rounds, and whether all is drained."""
    events, drain, rounds, whole = sizes
    with databases(engine, folder) as kind:
        handler = [HandlerSpec("bench", url)]
        made = [Installed(folder, kind.make(name), handler) for name in ("small", "large")]
        bench = Bench(made[0], made[1], count, report)
        bench.fill(events)
        empty, behind, memory = [], [], []
        for number in range(1, rounds + 1):
            made[0].add_events(drain)
            before, _ = bench.drain(made[0], drain)
            found, most_mb = bench.drain(made[1], drain)
            made[0].add_events(drain)
            after, _ = bench.drain(made[0], drain)
            empty.append(statistics.mean((before, after)))
            behind.append(found)
            memory.append(most_mb)
            report.round(
                f"round {number}, {engine}: {found:,.0f} events/s with the backlog, "
                f"{empty[-1]:,.0f}/s from an empty log, {most_mb:.0f} MB",
                engine=engine, empty=empty[-1], backlog=found, memory_mb=most_mb,
            )  # fmt: skip
        share = median_ratio(behind, empty)
        report.add(
            Figure(
                engine,
                f"drain rate with {events:,} events waiting, of an empty log's",
                f"{share * 100:.0f} %",
                share,
                f"{statistics.median(behind):,.0f} and {statistics.median(empty):,.0f} events/s",
                "≥ 90 %",
                share >= 0.9,
            )
        )
        report.add(_memory(engine, max(memory), "most memory of the engine"))
        if whole:
            rates, resident = bench.whole()
            _of_the_whole(engine, report, rates, resident)


def _of_the_whole(
    engine: str, report: Report, rates: Sequence[float], resident: Sequence[float]
) -> None:
    report.note(f"{engine}: events/s by tenth: {', '.join(f'{one:,.0f}' for one in rates)}")
    report.note(f"{engine}: MB after each: {', '.join(f'{one:.0f}' for one in resident)}")
    share = rates[-1] / rates[0]
    report.add(
        Figure(engine, "rate of the last tenth, of the first's", f"{share * 100:.0f} %", share)
    )
    report.add(_memory(engine, max(resident), "most memory while all is drained"))


def _memory(engine: str, most_mb: float, what: str) -> Figure:
    return Figure(
        engine, what, f"{most_mb:.0f} MB", most_mb, "", f"≤ {MOST_MB} MB", most_mb <= MOST_MB
    )


def main() -> None:
    """Measure every engine that was asked for."""
    parser = arguments(__doc__)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--drain", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--whole", action="store_true")
    options = parser.parse_args()
    if options.events < 2 * options.drain * (options.rounds + 1):
        parser.error("--events must be at least twice what all the rounds drain")
    sizes = (options.events, options.drain, options.rounds, int(options.whole))
    report = Report("backlog")
    for engine in chosen(options.engine):
        with tempfile.TemporaryDirectory(prefix="espf-bench-") as name:
            folder = Path(name)
            with quick_receiver(folder, report.note) as (url, port):
                measure(engine, Counter(port), url, folder, report, sizes)
    report.write(options.json)


if __name__ == "__main__":
    main()
