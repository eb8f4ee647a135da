"""Starts receivers, counts what they got, and measures a rate where it matters: on the far side."""

import contextlib
import http.client
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from receiver_nginx import nginx

from support.processes import end, running

_RECEIVER = Path(__file__).with_name("receiver.py")


class Counter:
    """Requests that a receiver has answered, asked for over one connection of its own."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        self._asked = 0

    def __call__(self) -> int:
        self._asked += 1
        self._connection.request("GET", "/count")
        text = self._connection.getresponse().read().decode()
        if text.startswith("{"):
            return int(json.loads(text)["good"])
        found = re.search(r"requests\n\s*\d+ \d+ (\d+)", text)
        assert found is not None, text
        return int(found[1]) - self._asked

    def told(self) -> dict[str, int]:
        """Good and bad answers of a receiver in Python."""
        self._connection.request("GET", "/count")
        told: dict[str, int] = json.loads(self._connection.getresponse().read())
        return told


@dataclass(frozen=True)
class PythonReceiver:
    """A running `receiver.py`."""

    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def end(self) -> None:
        """End it now, so that its record is complete."""
        end(self.process)


@contextlib.contextmanager
def python_receiver(folder: Path, *options: str) -> Iterator[PythonReceiver]:
    """Run `receiver.py` until the block ends."""
    words = [sys.executable, str(_RECEIVER), *options]
    with running(words, folder / "receiver.log", ready="port ") as (process, line):
        yield PythonReceiver(int(line.split()[1]), process)


@contextlib.contextmanager
def quick_receiver(folder: Path, say: Callable[[str], None]) -> Iterator[tuple[str, int]]:
    """The quickest receiver there is here: its URL and port."""
    if shutil.which("nginx"):
        with nginx(folder) as receiver:
            yield receiver.url, receiver.port
        return
    say("nginx is not installed (apt-get install nginx-light): a slower receiver takes its place")
    with python_receiver(folder) as slower:
        yield slower.url, slower.port


def rate(
    count: Callable[[], int],
    began: int,
    events: int,
    processes: Sequence[subprocess.Popen[bytes]] = (),
    *,
    skip: float = 0.05,
    within_s: float = 240,
) -> float:
    """Events a second until `events` more than `began` have arrived, the first few left out.

    `began` was counted before they could start to come.
    """
    first = _reached(count, began + max(1, int(events * skip)), processes, within_s)
    last = _reached(count, began + events, processes, within_s)
    if last[1] - first[1] < events / 2:
        raise SystemExit(f"most of {events:,} events had come before anybody looked: take more")
    return (last[1] - first[1]) / (last[0] - first[0])


def _reached(
    count: Callable[[], int],
    wanted: int,
    processes: Sequence[subprocess.Popen[bytes]],
    within_s: float,
) -> tuple[float, int]:
    """When at least so many had come, and how many."""
    ends = time.perf_counter() + within_s
    while (so_far := count()) < wanted:
        for process in processes:
            if process.poll() is not None:
                raise SystemExit(f"a process ended with status {process.returncode}")
        if time.perf_counter() > ends:
            raise SystemExit(f"{so_far:,} of {wanted:,} events came in {within_s:.0f} s")
        time.sleep(0.01)
    return time.perf_counter(), so_far
