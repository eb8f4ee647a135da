"""One receiver dead, 100,000 events behind it: what the others lose.

Each round drains the same number of events without the dead one, with it, and without it again.

- `refused`: nobody listens at one handler's address; its breaker is open and the events wait.
- `silent`: one handler's receiver takes requests and never answers.
- `account`: one account's events always fail; 100,000 of them are parked behind the first, which is
  tried again every second, while the other accounts of the same handler are delivered, and one of
  a thousand of those fails, too.

    python benchmarks/dead_receiver.py [--engine both] [--events 100000] [--behind 100000]
        [--rounds 3] [--json FILE]
"""

import contextlib
import itertools
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from receiver_nginx import free_port
from support.database import Databases, databases
from support.installation import Engine, HandlerSpec, Installed
from support.processes import wait_until
from support.receivers import Counter, python_receiver, quick_receiver, rate
from support.report import Figure, Report, arguments, chosen, median_ratio

BAD_ACCOUNT = 999_999
FAIL_EACH = 1_000
IMPATIENT = {"EventSender.RequestTimeout": 2, "Retry.FirstDelay": 1, "Retry.MaxDelay": 1}
WAITING = {
    "refused": "receiver refuses connections",
    "silent": "receiver never answers",
    "account": "one account's events always fail",
}


@dataclass(frozen=True)
class Sizes:
    """Events that are drained, events behind what is dead, and how often."""

    events: int
    behind: int
    rounds: int


@dataclass(frozen=True)
class Drain:
    """One run: events a second, and CPU microseconds of engine and database for each."""

    rate: float
    cpu_us: float


class Bench:
    """One variant on one engine."""

    def __init__(self, kind: Databases, folder: Path, sizes: Sizes) -> None:
        self._kind = kind
        self._folder = folder
        self._sizes = sizes
        self.parked = 0

    def handler_rate(self, url: str, count: Counter, dead_url: str | None) -> Drain:
        """A living handler's rate, alone or beside a dead one."""
        handlers = [HandlerSpec("living", url)]
        if dead_url is None:
            return self._drain("alone", handlers, count, dead=False)
        handlers.append(HandlerSpec("dead", dead_url, options=IMPATIENT))
        return self._drain("beside", handlers, count, dead=True)

    def _drain(
        self, name: str, handlers: list[HandlerSpec], count: Counter, *, dead: bool
    ) -> float:
        espf = self._installed(name, handlers)
        if dead:
            # These wait for the dead one only: the living one is made after them.
            espf.espf("handlers", "pause", "living")
            espf.add_events(self._sizes.behind)
            self._skip_to_the_end(espf, "living")
            espf.espf("handlers", "resume", "living")
        with espf.engine() as engine:
            if dead:
                self._until_open(espf, engine)
            return self._measured(espf, engine, count, self._sizes.events)

    def _skip_to_the_end(self, espf: Installed, handler: str) -> None:
        shell = espf.database.connect()
        shell.run(
            "UPDATE lane_cursor SET position = (SELECT max(i_event) FROM event) WHERE i_handler ="
            f" (SELECT i_handler FROM handler WHERE name = '{handler}')"
        )
        shell.close()

    def _until_open(self, espf: Installed, engine: Engine) -> None:
        shell = espf.database.connect()
        wait_until(
            "the breaker to open",
            lambda: bool(shell.value("SELECT count(*) FROM handler_state WHERE breaker = 'open'")),
            engine.process,
        )
        shell.close()

    def _note_parked(self, espf: Installed) -> None:
        shell = espf.database.connect()
        self.parked = shell.value("SELECT count(*) FROM parked")
        shell.close()

    def account_rate(self, url: str, count: Counter, *, bad: bool) -> Drain:
        """The rate of all other accounts, with or without the bad one's events parked.

        A few others fail now and then: what parking costs must not depend on the bad one either.
        """
        handler = HandlerSpec("both", url, options={**IMPATIENT, "Retry.Jitter": 0})
        espf = self._installed("bad" if bad else "good", [handler])
        good = self._sizes.events - self._sizes.events // FAIL_EACH
        with espf.engine() as engine:
            if bad:
                espf.add_events(self._sizes.behind, 1, BAD_ACCOUNT)
                self._until_parked(espf, engine)
            return self._measured(espf, engine, count, good)

    def _measured(self, espf: Installed, engine: Engine, count: Counter, events: int) -> Drain:
        """Write the events that are measured; so many of them are delivered at once."""
        began, cpu_s = count(), engine.cpu_s() + espf.database.server_cpu_s()
        espf.add_events(self._sizes.events)
        found = rate(count, began, events, [engine.process])
        self._note_parked(espf)
        cpu_s = engine.cpu_s() + espf.database.server_cpu_s() - cpu_s
        return Drain(found, cpu_s / events * 1e6)

    def _until_parked(self, espf: Installed, engine: Engine) -> None:
        shell = espf.database.connect()
        wait_until(
            "all to be parked",
            lambda: bool(shell.value("SELECT count(*) FROM parked") >= self._sizes.behind),
            engine.process,
            every_s=0.2,
        )
        if espf.database.engine == "postgres":
            shell.run("ANALYZE parked")  # as autovacuum does, sooner or later
        shell.close()

    def _installed(self, name: str, handlers: list[HandlerSpec]) -> Installed:
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        return Installed(folder, self._kind.make(f"{name}_{folder.name}"), handlers)


@contextlib.contextmanager
def dead_url(variant: str, folder: Path) -> Iterator[str]:
    """Where the dead receiver of a variant is."""
    if variant == "silent":
        with python_receiver(folder, "--hang") as receiver:
            yield receiver.url
    else:
        yield f"http://127.0.0.1:{free_port()}/"


def measure(engine: str, variant: str, sizes: Sizes, report: Report) -> None:
    """All rounds of one variant: without, with, without, with, …, without."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="espf-bench-")))
        bench = Bench(stack.enter_context(databases(engine, folder)), folder, sizes)
        run = stack.enter_context(prepared(variant, bench, folder, report))
        alone, beside = [run(False)], []
        for number in range(1, sizes.rounds + 1):
            beside.append(run(True))
            parked = bench.parked
            alone.append(run(False))
            report.round(
                f"round {number}, {engine}, {variant}: {beside[-1].rate:,.0f} events/s; without "
                f"the dead one {alone[-2].rate:,.0f}/s before and {alone[-1].rate:,.0f}/s after; "
                f"{parked:,} parked",
                engine=engine,
                variant=variant,
                beside=asdict(beside[-1]),
                alone=[asdict(one) for one in alone[-2:]],
                parked=parked,
            )
    _conclude(report, engine, variant, sizes, beside, alone)


@contextlib.contextmanager
def prepared(
    variant: str, bench: Bench, folder: Path, report: Report
) -> Iterator[Callable[[bool], Drain]]:
    """What runs a variant once, with (True) or without what is dead."""
    if variant == "account":
        failing = ("--fail-account", str(BAD_ACCOUNT), "--fail-each", str(FAIL_EACH))
        with python_receiver(folder, *failing) as receiver:
            counter = Counter(receiver.port)
            yield lambda bad: bench.account_rate(receiver.url, counter, bad=bad)
        return
    with quick_receiver(folder, report.note) as (url, port), dead_url(variant, folder) as dead:
        count = Counter(port)
        yield lambda there: bench.handler_rate(url, count, dead if there else None)


def _conclude(
    report: Report,
    engine: str,
    variant: str,
    sizes: Sizes,
    beside: Sequence[Drain],
    alone: Sequence[Drain],
) -> None:
    around = [statistics.mean((a.rate, b.rate)) for a, b in itertools.pairwise(alone)]
    share = median_ratio((one.rate for one in beside), around)
    cost, before = (statistics.median(one.cpu_us for one in some) for some in (beside, alone))
    who = "other accounts" if variant == "account" else "another handler"
    report.add(
        Figure(
            engine,
            f"rate of {who} while {WAITING[variant]}",
            f"{share * 100:.0f} %",
            share,
            f"{sizes.behind:,} events behind it; of the rate without. "
            f"CPU {cost:.0f} us an event, {before:.0f} us without",
            "≥ 90 %",
            share >= 0.9,
        )
    )


def main() -> None:
    """Measure every engine that was asked for."""
    parser = arguments(__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--behind", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--variant", choices=list(WAITING), action="append")
    options = parser.parse_args()
    report = Report("dead_receiver")
    sizes = Sizes(options.events, options.behind, options.rounds)
    for engine in chosen(options.engine):
        for variant in options.variant or WAITING:
            measure(engine, variant, sizes, report)
    report.write(options.json)


if __name__ == "__main__":
    main()
