"""The demo's processes: an engine and a receiving application, in its folder."""

import contextlib
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Self

from espf.demo.database import DemoDatabase
from espf.errors import ProvisioningError

READY_S = 20.0
END_S = 5.0
USER, KEY = "espf", "demo-key-of-the-receiver"
ESPF = (sys.executable, "-m", "espf.cli.main")


class Processes:
    """Starts and stops them; leaving the context ends all."""

    def __init__(self, folder: Path, database: DemoDatabase) -> None:
        self.folder = folder
        self.database = database
        self.record = self.folder / "received.jsonl"
        self._running: dict[str, subprocess.Popen[str]] = {}
        self._port = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self._running):
            self.stop(name)

    @property
    def environment(self) -> dict[str, str]:
        """Variables for every process: this database, and nothing of an installation here."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ESPF_")}
        return {
            **kept,
            "ESPF_DATABASE_URL": str(self.database.url),
            "ESPF_SECRET_KEY_FILE": str(self.folder / "espf.key"),
            "ESPF_INSTANCE_NAME": "demo",
            "ESPF_LOG_LEVEL": "error",
            "ESPF_RECEIVER_KEY": KEY,
        }

    def run(self, *words: str) -> str:
        """Run one command of ours to its end; returns its output."""
        done = subprocess.run(  # noqa: S603 - our own command
            [*ESPF, *words], env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise ProvisioningError(f"`espf {words[0]}` failed: {done.stderr.strip()}")
        return done.stdout

    def start_engine(self) -> int:
        """Start it; returns its process number."""
        return self._start("engine", ["instance"], self.environment)[0]

    def start_receiver(self) -> str:
        """Start it, the second time on the same port; returns its address."""
        options = ["--auth", "Basic", "--user", USER, "--record", str(self.record)]
        words = ["receiver", "--port", str(self._port), *options]
        _, line = self._start("receiver", words, self.environment)
        url = line.split()[-1]
        self._port = int(url.rstrip("/").rpartition(":")[2])
        return url

    def stop(self, name: str) -> None:
        """End a process and wait for it."""
        process = self._running.pop(name, None)
        if process is None:
            return
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()

    def _start(
        self, name: str, words: list[str], environment: Mapping[str, str]
    ) -> tuple[int, str]:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [*ESPF, *words],
            env=dict(environment),
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for the demo, which then ends them in order
        )
        self._running[name] = process
        assert process.stdout is not None
        line = _first_line(process.stdout)
        if not line:
            raise ProvisioningError(f"The demo's {name} did not start within {READY_S:.0f} s.")
        return process.pid, line


def _first_line(stream: IO[str]) -> str:
    """The line by which a process says that it is ready; empty if it ends or takes too long."""
    readable, _, _ = select.select([stream], [], [], READY_S)
    with contextlib.suppress(OSError):
        return stream.readline().strip() if readable else ""
    return ""


def wait_until(what: str, is_so: Callable[[], bool], limit_s: float) -> None:
    """Wait for something that another process does. Raises ProvisioningError when it does not."""
    ends = time.monotonic() + limit_s
    while not is_so():
        if time.monotonic() > ends:
            raise ProvisioningError(f"The demo waited {limit_s:.0f} s in vain for {what}.")
        time.sleep(0.01)
