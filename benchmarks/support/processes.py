"""Processes of a benchmark: starting them, ending them, and what they used."""

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

ESPF = Path(sys.executable).with_name("espf")
READY_S = 60
_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """CPU seconds of one process so far."""
    fields = _fields(pid)
    return (int(fields[11]) + int(fields[12])) / _TICKS


def tree_cpu_s(pid: int) -> float:
    """CPU seconds of a process, of those that it started, and of those that have ended."""
    total = 0.0
    for each in _tree(pid):
        with contextlib.suppress(OSError):  # it has just ended
            total += sum(int(field) for field in _fields(each)[11:15]) / _TICKS
    return total


def _fields(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def _tree(pid: int) -> Iterator[int]:
    yield pid
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            yield from _tree(int(child))


def memory_mb(pid: int, what: str = "VmHWM") -> float:
    """Memory of a process: `VmHWM` the most it ever had, `VmRSS` what it has now."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split(f"{what}:")[1].split()[0]) / 1024


@contextlib.contextmanager
def running(
    words: Sequence[str],
    log: Path,
    *,
    ready: str = "",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A process until the block ends, once it has printed a line with `ready`; and that line."""
    with log.open("ab") as file:
        process = subprocess.Popen(
            list(words), env=env, cwd=cwd, stdout=subprocess.PIPE if ready else file, stderr=file
        )
    try:
        yield process, _ready_line(process, ready, log) if ready else ""
    finally:
        end(process)


def end(process: subprocess.Popen[bytes], within_s: float = 30) -> None:
    """Ask a process to end, and see to it."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(within_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _ready_line(process: subprocess.Popen[bytes], ready: str, log: Path) -> str:
    assert process.stdout is not None
    ends, seen = time.monotonic() + READY_S, b""
    os.set_blocking(process.stdout.fileno(), False)
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while time.monotonic() < ends and process.poll() is None:
            selector.select(0.2)
            seen += process.stdout.read() or b""
            for line in seen.decode("utf-8", "replace").splitlines(keepends=True):
                if ready in line and line.endswith("\n"):
                    return line.strip()
    raise SystemExit(
        f"{' '.join(process.args[:3])} did not say {ready!r}: "  # type: ignore[index]
        f"{seen.decode('utf-8', 'replace')[-500:]}{log.read_text('utf-8', 'replace')[-2000:]}"
    )


def wait_until(
    what: str,
    is_so: Callable[[], bool],
    process: subprocess.Popen[bytes] | None = None,
    *,
    within_s: float = 240,
    every_s: float = 0.02,
) -> None:
    """Wait for something that `process` does; give up when it ends or takes too long."""
    ends = time.monotonic() + within_s
    while not is_so():
        if process is not None and process.poll() is not None:
            raise SystemExit(f"while waiting for {what}: status {process.returncode}")
        if time.monotonic() > ends:
            raise SystemExit(f"waited {within_s:.0f} s in vain for {what}")
        time.sleep(every_s)
