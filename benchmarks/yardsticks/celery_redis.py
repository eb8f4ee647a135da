"""Celery + Redis + requests: a real redis-server, a real worker with two processes."""

import contextlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from receiver_nginx import free_port
from support.installation import BODY, KEY, USER
from support.processes import running, wait_until
from support.receivers import rate

PROCESSES = 2
_HERE = Path(__file__).parent
_FILL = (
    "import json, sys; from celery_tasks import app, post\n"
    "event = json.loads(sys.argv[2])\n"
    "with app.producer_pool.acquire(block=True) as producer:\n"
    "    for _ in range(int(sys.argv[1])): post.apply_async((event,), producer=producer)\n"
)


def missing() -> str:
    """What is not installed, and how it would be; empty if all is there."""
    if importlib.util.find_spec("celery") is None:
        return "Celery is not installed (make .venv/.bench)"
    if shutil.which("redis-server") is None:
        return "redis-server is not installed (apt-get install redis-server)"
    return ""


@contextlib.contextmanager
def _redis(folder: Path) -> Iterator[str]:
    port = str(free_port())
    words = ["redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", str(folder)]
    words += ["--appendonly", "yes", "--save", ""]
    with running(words, folder / "redis.log") as (process, _):

        def answers() -> bool:
            asked = ["redis-cli", "-p", port, "ping"]
            return b"PONG" in subprocess.run(asked, capture_output=True, check=False).stdout

        wait_until("redis-server", answers, process)
        yield f"redis://127.0.0.1:{port}/0"


def measure(folder: Path, url: str, count: Callable[[], int], tasks: int) -> float:
    """Tasks a second, of a queue that was filled before the worker started."""
    with _redis(folder) as broker:
        env = {
            **os.environ,
            "YARDSTICK_BROKER": broker,
            "YARDSTICK_URL": url,
            "YARDSTICK_CREDENTIALS": f"{USER}:{KEY}",
        }
        _fill(env, tasks)
        began = count()
        words = [sys.executable, "-m", "celery", "-A", "celery_tasks", "worker"]
        words += ["--concurrency", str(PROCESSES), "--loglevel", "ERROR"]
        with running(words, folder / "celery.log", env=env, cwd=_HERE) as (worker, _):
            return rate(count, began, tasks, [worker], skip=0.1)


def _fill(env: Mapping[str, str], tasks: int) -> None:
    subprocess.run(
        [sys.executable, "-c", _FILL, str(tasks), json.dumps(json.loads(BODY))],
        env=dict(env),
        cwd=_HERE,
        check=True,
        timeout=120,
    )
    time.sleep(0.2)
