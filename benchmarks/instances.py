"""1, 2 and 4 `espf instance` on one PostgreSQL: the rate, beside one instance's in the same round.

Two receivers. One answers after 20 ms, as a busy HSS does: the receiver limits, each instance has
its window of requests open, and more instances deliver more. The other answers at once, so that the
machine's cores limit: more instances can deliver no more there, and should lose little.

    python benchmarks/instances.py [--instances 1 2 4] [--events 100000] [--rounds 3] [--json FILE]
"""

import contextlib
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from support.database import databases
from support.installation import Engine, HandlerSpec, Installed
from support.processes import wait_until
from support.receivers import Counter, python_receiver, quick_receiver, rate
from support.report import Figure, Report, arguments, median_ratio

DELAY_MS = 20
WINDOW = 48
ENGINE = "postgres"


@dataclass(frozen=True)
class Kind:
    """A receiver, and how many events to send it."""

    name: str
    url: str
    count: Counter
    events: int


@dataclass(frozen=True)
class Drain:
    """One drain by one fleet; CPU in microseconds for each event."""

    rate: float
    engines_us: float
    database_us: float


def drain(kind: Kind, espf: Installed, instances: int) -> Drain:
    """Have so many instances deliver, once they share the lanes evenly."""
    with contextlib.ExitStack() as stack:
        engines = [
            stack.enter_context(espf.engine(f"bench-{number}")) for number in range(instances)
        ]
        processes = [engine.process for engine in engines]
        _until_shared(espf, instances, processes)
        espf.espf("handlers", "pause", "bench")
        espf.add_events(kind.events)
        began, costs = kind.count(), _costs(engines, espf)
        espf.espf("handlers", "resume", "bench")
        found = rate(kind.count, began, kind.events, processes, skip=0.1)
        spent = [
            (b - a) / kind.events * 1e6 for a, b in zip(costs, _costs(engines, espf), strict=True)
        ]
        return Drain(found, *spent)


def _costs(engines: Sequence[Engine], espf: Installed) -> tuple[float, float]:
    return sum(engine.cpu_s() for engine in engines), espf.database.server_cpu_s()


def _until_shared(
    espf: Installed, instances: int, processes: Sequence["subprocess.Popen[bytes]"]
) -> None:
    shell = espf.database.connect()

    def evenly() -> bool:
        held = shell.rows("SELECT count(*) FROM lane_cursor WHERE owner IS NOT NULL GROUP BY owner")
        lanes = sorted(int(count) for (count,) in held)
        return len(lanes) == instances and sum(lanes) == 64 and lanes[-1] - lanes[0] <= 1

    wait_until("the lanes to be shared evenly", evenly, processes[0], within_s=90, every_s=0.1)
    shell.close()


def measure(fleets: Sequence[int], events: int, rounds: int, report: Report) -> None:
    """All rounds: in each, every fleet on either receiver."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="espf-bench-")))
        url, port = stack.enter_context(quick_receiver(folder, report.note))
        late = stack.enter_context(python_receiver(folder, "--delay-ms", str(DELAY_MS)))
        base = stack.enter_context(databases(ENGINE, folder))
        kinds = [
            Kind(f"{DELAY_MS} ms", late.url, Counter(late.port), max(1, events // 10)),
            Kind("instant", url, Counter(port), events),
        ]
        for kind in kinds:
            there = folder / kind.name.replace(" ", "")
            there.mkdir()
            database = base.make(f"espf_{there.name}")
            espf = Installed(there, database, [HandlerSpec("bench", kind.url, WINDOW)])
            found: dict[int, list[Drain]] = {instances: [] for instances in fleets}
            for number in range(1, rounds + 1):
                for instances in fleets:
                    found[instances].append(drain(kind, espf, instances))
                report.round(
                    f"round {number}, {kind.name}: "
                    + ", ".join(f"{one}: {all_[-1].rate:,.0f}/s" for one, all_ in found.items()),
                    receiver=kind.name,
                    **{f"instances_{one}": asdict(all_[-1]) for one, all_ in found.items()},
                )
            _conclude(report, kind, found)


def _conclude(report: Report, kind: Kind, found: dict[int, list[Drain]]) -> None:
    alone = found[min(found)]
    what = f"a receiver that answers after {DELAY_MS} ms" if "ms" in kind.name else "an instant one"
    for instances, drains in found.items():
        median = statistics.median(one.rate for one in drains)
        ratio = median_ratio((one.rate for one in drains), (one.rate for one in alone))
        beside = "" if drains is alone else f"{ratio:.2f} times one instance; "
        for whose in ("engines", "database"):
            us = statistics.median(getattr(one, f"{whose}_us") for one in drains)
            beside += f"{whose} {us:.0f} us{' an event' if whose == 'database' else ', '}"
        report.add(
            Figure(
                ENGINE,
                f"{instances} instance{'s' * (instances > 1)}, {what}",
                f"{median:,.0f} events/s",
                median if drains is alone else ratio,
                beside,
            )
        )


def main() -> None:
    """Measure on PostgreSQL."""
    parser = arguments(__doc__, engines=False)
    parser.add_argument("--instances", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    report = Report("instances")
    measure(options.instances, options.events, options.rounds, report)
    report.write(options.json)


if __name__ == "__main__":
    main()
