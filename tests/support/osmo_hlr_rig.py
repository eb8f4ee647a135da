"""A real osmo-hlr (Debian's package) on a loopback address of its own, and what it has stored.

Its ports cannot be chosen, so each has an address. Import it as `osmo_hlr_rig`.
"""

import contextlib
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

CTRL, VTY, GSUP = 4259, 4258, 4222
PROGRAM = shutil.which("osmo-hlr")
CONFIG = """
log stderr
 logging filter all 1
 logging color 0
 logging level set-all notice
line vty
 bind {host}
ctrl
 bind {host}
hlr
 gsup
  bind ip {host}
"""
LIMIT_S = 20


class Row(NamedTuple):
    """A subscriber as osmo-hlr's database has it; keys in clear."""

    msisdn: str | None
    cs: int
    ps: int
    ki: str | None
    k: str | None
    opc: str | None


class OsmoHlrServer:
    """One server; it ends with the `with` block."""

    def __init__(self, folder: Path) -> None:
        self.host = _free_address()
        self.database = folder / "hlr.db"
        self._config = folder / "osmo-hlr.cfg"
        self._config.write_text(CONFIG.format(host=self.host))
        self._log = (folder / "osmo-hlr.log").open("ab")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it takes commands."""
        assert PROGRAM is not None
        self._process = subprocess.Popen(
            [PROGRAM, "--config-file", self._config, "--database", self.database],
            cwd=self._config.parent,
            stdout=self._log,
            stderr=self._log,
        )
        ends = time.monotonic() + LIMIT_S
        while not _listens(self.host):
            assert self._process.poll() is None, Path(self._log.name).read_text()
            assert time.monotonic() < ends, "osmo-hlr does not listen"
            time.sleep(0.02)

    def stop(self) -> None:
        """End it."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
            process.kill()
            process.wait()

    def close(self) -> None:
        """End it and close its log."""
        self.stop()
        self._log.close()

    def pause(self) -> None:
        """SIGSTOP: the kernel still takes connections and bytes."""
        self._signal(signal.SIGSTOP)
        while self._state() != "T":
            time.sleep(0.002)

    def resume(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def rows(self) -> dict[str, Row]:
        """All subscribers, out of its database file."""
        with contextlib.closing(self._open()) as connection:
            found = connection.execute(
                "SELECT imsi, msisdn, nam_cs, nam_ps, a.ki, b.k, b.opc FROM subscriber s"
                " LEFT JOIN auc_2g a ON a.subscriber_id = s.id"
                " LEFT JOIN auc_3g b ON b.subscriber_id = s.id"
            )
            return {imsi: Row(*rest) for imsi, *rest in found}

    def sql(self, sql: str, rows: Iterable[tuple[object, ...]] = ((),)) -> None:
        """Change its database behind its back."""
        with contextlib.closing(self._open()) as connection, connection:
            connection.executemany(sql, rows)

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self.database, timeout=LIMIT_S)

    def _signal(self, which: signal.Signals) -> None:
        assert self._process is not None
        os.kill(self._process.pid, which)

    def _state(self) -> str:
        assert self._process is not None
        stat = Path(f"/proc/{self._process.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0]


@contextlib.contextmanager
def osmo_hlr(folder: Path) -> Iterator[OsmoHlrServer]:
    """A running server. Skips where the package is not installed."""
    if PROGRAM is None:
        pytest.skip("osmo-hlr is not installed (Debian: apt-get install osmo-hlr)")
    server = OsmoHlrServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.close()


def _free_address() -> str:
    while True:
        host = ".".join(["127", *(str(random.randint(1, 254)) for _ in range(3))])
        with contextlib.ExitStack() as opened:
            try:
                for port in (CTRL, VTY, GSUP):
                    sock = opened.enter_context(socket.socket())
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    sock.bind((host, port))
            except OSError:
                continue
            return host


def _listens(host: str) -> bool:
    try:
        socket.create_connection((host, CTRL), 1).close()
    except OSError:
        return False
    return True
