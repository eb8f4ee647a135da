"""Instances as processes of their own, to be killed, paused and cut off.

Import it as `fault_fleet`.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

ESPF = str(Path(sys.executable).with_name("espf"))
LEASE_S = 1.0
END_S = 30


class Engine:
    """`espf instance`, which can be started again after each of its deaths."""

    def __init__(self, name: str, address: str, url: str, folder: Path) -> None:
        self.name = name
        self.address = address
        """Source address of its requests: by it the receiver knows who sent one."""
        self.log = folder / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.environment: Mapping[str, str] = {
            **os.environ,
            "ESPF_DATABASE_URL": url,
            "ESPF_LEASE_S": str(LEASE_S),
            "ESPF_GRACE_PERIOD_S": "5",
            "ESPF_LOG_FORMAT": "json",
        }

    def start(self) -> None:
        words = [ESPF, "instance", "--name", self.name, "--service-ip", self.address]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                words, env=self.environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """As `kill -9` does: not a word to anyone."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def pause(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def terminate(self) -> int:
        """As a supervisor does; its exit status."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(END_S)

    def said(self, words: str) -> int:
        """How often its log has these words."""
        return self.log.read_text("utf-8", "replace").count(words)


class EngineFleet:
    """Several engines on one database."""

    def __init__(self, urls: Sequence[str], folder: Path) -> None:
        self.engines = [
            Engine(f"i{number}", f"127.0.0.{number + 1}", url, folder)
            for number, url in enumerate(urls, 1)
        ]

    def __enter__(self) -> Self:
        for engine in self.engines:
            engine.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        died = [engine.name for engine in self.engines if not engine.running]
        for engine in self.engines:
            if engine.running:
                engine.resume()
                engine.kill()
        assert kind is not None or not died, f"{died} ended by themselves: see their logs"
