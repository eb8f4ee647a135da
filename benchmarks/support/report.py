"""What a benchmark found: a line for people, and a JSON file with the machine and the versions."""

import argparse
import datetime as dt
import json
import os
import platform
import signal
import sqlite3
import statistics
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from support.database import ENGINES

LOAD = os.getloadavg()[0]
"""Of the machine before anything was started: what else it does makes all figures worse."""
PACKAGES = ("espf", "uvloop", "httptools", "orjson", "psycopg", "aiohttp", "celery", "pgqueuer")


@dataclass(frozen=True)
class Figure:
    """One number that the design holds the program to, or that explains one."""

    engine: str
    what: str
    shown: str
    """The number with its unit."""
    value: float
    beside: str = ""
    """The yardstick in the same run."""
    target: str = ""
    holds: bool | None = None
    """None: there is no target, or nothing to hold it against."""


@dataclass
class Report:
    """Figures of one run of one benchmark."""

    benchmark: str
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    rounds: list[dict[str, Any]] = field(default_factory=list)

    def add(self, figure: Figure) -> None:
        """Keep a figure, and print it."""
        self.figures.append(figure)
        beside = f" ({figure.beside})" if figure.beside else ""
        verdict = {True: f"; holds {figure.target}", False: f"; MISSES {figure.target}", None: ""}
        print(
            f"{figure.engine}: {figure.what} {figure.shown}{beside}{verdict[figure.holds]}",
            flush=True,
        )

    def note(self, text: str) -> None:
        """Keep a remark, and print it."""
        self.notes.append(text)
        print(f"  {text}", flush=True)

    def round(self, text: str, **values: Any) -> None:
        """Keep what one round measured, and print a line of it."""
        self.rounds.append(values)
        print(f"  {text}", flush=True)

    def write(self, path: Path | None) -> None:
        """Write everything as JSON."""
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {
            "benchmark": self.benchmark,
            "command": command(),
            "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            "machine": machine(),
            "load": LOAD,
            "versions": versions(),
            **asdict(self),
        }
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def command() -> str:
    """How this benchmark was called, without the file it writes."""
    words, given = [], iter(sys.argv[1:])
    for word in given:
        if word == "--json":
            next(given, None)
        else:
            words.append(word)
    return " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *words])


def machine() -> dict[str, Any]:
    """Processor, cores and memory."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    kilobytes = Path("/proc/meminfo").read_text().split("MemTotal:")[1].split()[0]
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_gb": round(int(kilobytes) / 1024 / 1024),
        "system": f"Linux {platform.release().split('-')[0]}",
    }


def versions() -> dict[str, str]:
    """Versions of what was measured."""
    found = {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def arguments(about: str | None, *, engines: bool = True) -> argparse.ArgumentParser:
    """Options that every benchmark has. From here on SIGTERM ends what it has started as well."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    if engines:
        parser.add_argument("--engine", choices=[*ENGINES, "both"], default="both")
    parser.add_argument("--json", type=Path, help="file to write the result to")
    return parser


def chosen(engine: str) -> Sequence[str]:
    """The engines that `--engine` names."""
    return ENGINES if engine == "both" else (engine,)


def median_ratio(these: Iterable[float], those: Iterable[float]) -> float:
    """Median of the ratios round by round, since machines drift from one to the next."""
    return statistics.median(a / b for a, b in zip(these, those, strict=True))
