"""`espf demo` shows the main job and tells the truth about it."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from cli_rig import ESPF, until


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(tmp_path), "ESPF_DATABASE_URL": "sqlite:////nowhere/x.db"}


def demo(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ESPF, "demo", *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_the_demo_delivers_everything_in_order_and_leaves_nothing_behind(
    environment: dict[str, str], tmp_path: Path
) -> None:
    done = demo(environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The receiver got all 45 events, in order" in done.stdout
    assert "breaker open" in done.stdout
    assert "\x1b" not in done.stdout, "control codes in a pipe"
    assert "self-care-1" not in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_demo_fails_if_the_receiver_loses_one(environment: dict[str, str]) -> None:
    done = demo(environment, "--lose-one")
    assert done.returncode == 1
    assert "never arrived" in done.stdout


def test_an_interrupted_demo_ends_its_processes_and_removes_its_folder(
    environment: dict[str, str], tmp_path: Path
) -> None:
    process = subprocess.Popen(
        [ESPF, "demo"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    while "An engine" not in process.stdout.readline():
        pass
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []
    until(lambda: not _processes_in(tmp_path), "the end of its processes")


def _processes_in(folder: Path) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            text = path.read_bytes()
        except OSError:
            continue
        if f"ESPF_DATABASE_URL=sqlite:///{folder}".encode() in text:
            found.append(path.parent.name)
    return found
