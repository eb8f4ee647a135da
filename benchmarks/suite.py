"""All benchmarks one after the other, then docs/reference/performance.md from their results.

    python benchmarks/suite.py            short forms, under ten minutes
    python benchmarks/suite.py --full     the long ones: hours, and 40 GB of disk
    python benchmarks/suite.py --only delivery --only latency

Each runs as its own command and writes build/bench/NAME.json; of one that fails the page says so,
and the others go on. What is left out of a run is on the page with its last result.
"""

import argparse
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from support.page import write_page

HERE = Path(__file__).parent
RESULTS = HERE.parent / "build" / "bench"
YARDSTICKS = {"nginx": "nginx-light", "wrk": "wrk", "redis-server": "redis-server"}


@dataclass(frozen=True)
class Run:
    """A benchmark, and its options in the short and in the long form."""

    name: str
    short: str = ""
    full: str = ""


RUNS = (
    Run("delivery", "--rounds 2", "--rounds 7"),
    Run("latency", "--changes 30 --idle-s 5", "--changes 300 --idle-s 30"),
    Run("capture", "--accounts 20000 --turns 3", "--accounts 100000 --turns 7"),
    Run(
        "backlog",
        "--events 600000 --drain 100000 --rounds 2",
        "--events 10000000 --drain 200000 --rounds 5 --whole",
    ),
    Run(
        "dead_receiver",
        "--events 50000 --behind 20000 --rounds 2",
        "--events 200000 --behind 100000 --rounds 5",
    ),
    Run("token_bucket", "--seconds 10 --instances 1 3", "--seconds 60 --instances 1 2 3"),
    Run("search", "--rows 200000", "--rows 10000000"),
    Run("resending", "--events 20000", "--events 1000000"),
    Run("fanout", "--accounts 100000 --changes 20", "--accounts 1000000 --changes 100"),
    Run("instances", "--events 50000 --rounds 1", "--events 200000 --rounds 5"),
    Run("memory", "--events 200000", "--events 3000000"),
)


def missing_programs() -> list[str]:
    """What to tell about programs that are not installed."""
    packages = [package for program, package in YARDSTICKS.items() if not shutil.which(program)]
    if not packages:
        return []
    names = " ".join(packages)
    return [f"Not installed here, and what needs them is left out: `apt-get install {names}`."]


def run(one: Run, *, full: bool) -> str:
    """Run one benchmark; empty, or what went wrong."""
    script = HERE / f"{one.name}.py"
    if not script.exists():
        return "there is no such benchmark in this release"
    options = (one.full if full else one.short).split()
    result = RESULTS / f"{one.name}.json"
    result.unlink(missing_ok=True)
    words = [sys.executable, str(script), *options, "--json", str(result)]
    print(f"== python benchmarks/{script.name} {' '.join(options)}", flush=True)
    began = time.monotonic()
    status = subprocess.run(words, check=False).returncode
    print(f"   {time.monotonic() - began:.0f} s\n", flush=True)
    return f"ended with status {status}" if status else ""


def main() -> int:
    """Run them, and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--only", action="append", choices=[one.name for one in RUNS])
    options = parser.parse_args()
    RESULTS.mkdir(parents=True, exist_ok=True)
    remarks = missing_programs()
    print("\n".join(remarks), end="\n" if remarks else "", flush=True)
    failed = measured(options.only or [one.name for one in RUNS], full=options.full)
    remarks += [f"`{name}`: {why}." for name, why in failed.items()]
    page = write_page([one.name for one in RUNS], RESULTS, remarks, full=options.full)
    print(f"written: {page}")
    return 1 if failed else 0


def measured(names: Sequence[str], *, full: bool) -> dict[str, str]:
    """Run these; those that failed, and why."""
    failed = {}
    for one in RUNS:
        if one.name in names and (why := run(one, full=full)):
            failed[one.name] = why
            print(f"{one.name}: {why}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
