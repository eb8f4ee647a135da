"""How exact the token bucket is, seen by the receiver: the long run, and the worst second.

More events wait than can leave. The receiver notes when each arrives: over the seconds after the
first burst the rate must be within 1 % of TokenRate, and no second may hold more than the burst.
With several instances on PostgreSQL both hold for the fleet. The yardstick is a clock: what the
receiver would have got at exactly TokenRate.

    python benchmarks/token_bucket.py [--engine both] [--seconds 20] [--instances 1 2 3]
        [--json FILE]
"""

import contextlib
import statistics
import sys
import tempfile
import time
from array import array
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from support.database import Databases, databases
from support.installation import HandlerSpec, Installed
from support.receivers import python_receiver
from support.report import Figure, Report, arguments, chosen

BUCKETS = ((200.0, 200), (100.0, 300), (2000.0, 4000))
"""TokenRate and TokenBurstiness: at its limit always, with a first burst, and a fast one."""
PAUSE_S = 0.2
"""What parts two bunches."""
TRAVEL_S = 0.005
"""How much closer two requests may arrive than they left: a receiver is one process among many."""


def arrivals(
    kind: Databases, folder: Path, instances: int, seconds: float
) -> dict[tuple[float, int], Sequence[float]]:
    """When each bucket's requests arrived: a handler and a receiver for each, all at once."""
    records = {bucket: folder / f"{bucket[0]:.0f}.times" for bucket in BUCKETS}
    with contextlib.ExitStack() as stack:
        handlers = []
        for (rate, burst), record in records.items():
            receiver = stack.enter_context(python_receiver(folder, "--record", str(record)))
            options = {"EventSender.TokenRate": rate, "EventSender.TokenBurstiness": burst}
            handlers.append(HandlerSpec(record.stem, receiver.url, options=options))
        espf = Installed(folder, kind.make(), handlers)
        espf.add_events(int(max(rate * (seconds + 10) + burst for rate, burst in BUCKETS)))
        with contextlib.ExitStack() as engines:
            for number in range(instances):
                engines.enter_context(espf.engine(f"bench-{number}"))
            time.sleep(seconds)
    found = {}
    for bucket, record in records.items():
        times = array("d")
        times.frombytes(record.read_bytes())
        found[bucket] = times
    return found


def long_run(times: Sequence[float], rate: float, burst: int) -> float:
    """Requests a second after what the first burst has lent is paid back.

    A bucket that is emptied at once sends a bunch each second: what counts then is from the
    beginning of one bunch to that of a later one, not where in a bunch the measurement ends.
    """
    emptied_s = burst / (burst - rate) if burst > 1.1 * rate else 1.0  # it was full at the start
    start, end = times[0] + 1 + emptied_s, times[-1] - 1  # the engine was told to end
    inside = [one for one in times if start <= one < end]
    bunches = [place for place in range(1, len(inside)) if _pause(inside, place)]
    if len(bunches) < 3:
        return statistics.linear_regression(inside, range(len(inside))).slope
    first, last = bunches[0], bunches[-1]
    return (last - first) / (inside[last] - inside[first])


def _pause(times: Sequence[float], place: int) -> bool:
    return times[place] - times[place - 1] > PAUSE_S


def worst_second(times: Sequence[float], second: float) -> int:
    """Most requests within any window of this length, wherever it begins."""
    most = first = 0
    for last, one in enumerate(times):
        while one - times[first] >= second:
            first += 1
        most = max(most, last - first + 1)
    return most


def measure(engine: str, fleets: Sequence[int], seconds: float, report: Report) -> None:
    """All buckets, fleet by fleet, on one engine."""
    for instances in fleets if engine == "postgres" else (1,):
        with (
            tempfile.TemporaryDirectory(prefix="espf-bench-") as name,
            databases(engine, Path(name)) as kind,
        ):
            found = arrivals(kind, Path(name), instances, seconds)
        for bucket, times in found.items():
            _conclude(report, engine, instances, bucket, times)


def _conclude(
    report: Report,
    engine: str,
    instances: int,
    bucket: tuple[float, int],
    times: Sequence[float],
) -> None:
    rate, burst = bucket
    found = long_run(times, rate, burst)
    worst, strictly = worst_second(times, 1 - TRAVEL_S), worst_second(times, 1.0)
    fleet = f"{instances} instance{'s' * (instances > 1)}, rate {rate:.0f}, burst {burst}"
    off = abs(found / rate - 1)
    report.add(
        Figure(
            engine,
            f"token bucket, long run ({fleet})",
            f"{found:,.2f}/s, {off * 100:.2f} % off",
            off,
            "a clock",
            "within 1 %",
            off <= 0.01,
        )
    )
    report.add(
        Figure(
            engine,
            f"token bucket, most in a second ({fleet})",
            f"{worst}",
            worst,
            f"{strictly} in a second to the microsecond, travel times included",
            f"≤ {burst}",
            worst <= burst,
        )
    )


def main() -> None:
    """Measure every engine that was asked for."""
    parser = arguments(__doc__)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--instances", type=int, nargs="+", default=[1, 2, 3])
    options = parser.parse_args()
    report = Report("token_bucket")
    for engine in chosen(options.engine):
        measure(engine, options.instances, options.seconds, report)
    report.write(options.json)


if __name__ == "__main__":
    main()
