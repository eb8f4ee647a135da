"""PgQueuer + aiohttp on the PostgreSQL server that espf uses too: two worker processes."""

import contextlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.installation import BODY, KEY, USER
from support.processes import running
from support.receivers import rate

PROCESSES = 2
_HERE = Path(__file__).parent


def missing() -> str:
    """What is not installed, and how it would be; empty if all is there."""
    if importlib.util.find_spec("pgqueuer") is None:
        return "PgQueuer is not installed (make .venv/.bench)"
    return ""


def measure(server: Any, folder: Path, url: str, count: Callable[[], int], jobs: int) -> float:
    """Jobs a second, of a queue that was filled before the workers started."""
    name = "pgqueuer"
    server.execute(f"DROP DATABASE IF EXISTS {name}")
    server.make_database(name)
    env = {
        **os.environ,
        "YARDSTICK_DATABASE": server.url(name, port=server.port),
        "YARDSTICK_URL": url,
        "YARDSTICK_CREDENTIALS": f"{USER}:{KEY}",
        "YARDSTICK_BODY": BODY,
    }
    subprocess.run(
        [sys.executable, "pgqueuer_worker.py", "fill", str(jobs)],
        env=env,
        cwd=_HERE,
        check=True,
        timeout=120,
    )
    began = count()
    words = [sys.executable, "pgqueuer_worker.py", "work"]
    with contextlib.ExitStack() as stack:
        log = folder / "pgqueuer.log"
        workers = [
            stack.enter_context(running(words, log, env=env, cwd=_HERE))[0]
            for _ in range(PROCESSES)
        ]
        return rate(count, began, jobs, workers, skip=0.2)
