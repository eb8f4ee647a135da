"""`espf demo` shows the main job and tells the truth about it."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

import postgres_rig
from cli_rig import ENGINES, ESPF, until


@pytest.fixture
def there() -> Iterator[Path]:
    """A folder that others may pass: a server that root starts runs as somebody else."""
    with tempfile.TemporaryDirectory(prefix="espf-test-demo-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.fixture
def environment(there: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(there), "ESPF_DATABASE_URL": "sqlite:////nowhere/x.db"}


def demo(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ESPF, "demo", *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    if request.param == "postgres":
        postgres_rig.server()  # or skip
    return str(request.param)


def test_the_demo_delivers_everything_in_order_and_leaves_nothing_behind(
    environment: dict[str, str], there: Path, engine: str
) -> None:
    done = demo(environment, "--engine", engine)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The receiver got all 45 events, in order" in done.stdout
    assert "breaker open" in done.stdout
    assert "\x1b" not in done.stdout, "control codes in a pipe"
    assert "self-care-1" not in done.stdout
    assert list(there.iterdir()) == []


def test_the_demo_fails_if_the_receiver_loses_one(environment: dict[str, str]) -> None:
    done = demo(environment, "--lose-one")
    assert done.returncode == 1
    assert "never arrived" in done.stdout


def test_an_empty_database_that_is_named_is_played_on_and_left_empty(
    environment: dict[str, str],
) -> None:
    with postgres_rig.empty() as url:
        environment["ESPF_DATABASE_URL"] = str(url)
        done = demo(environment, "--engine", "postgres")
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"An empty PostgreSQL database: {url.shown}" in done.stdout
        with psycopg.connect(url.conninfo) as connection:
            question = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            assert connection.execute(question).fetchone() == (0,)
            connection.execute("CREATE TABLE theirs (x bigint)")
        done = demo(environment, "--engine", "postgres")
        assert done.returncode == 1
        assert "is not empty" in done.stderr


def test_an_interrupted_demo_ends_its_processes_and_removes_its_folder(
    environment: dict[str, str], there: Path, engine: str
) -> None:
    process = subprocess.Popen(
        [ESPF, "demo", "--engine", engine],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    while "An engine" not in process.stdout.readline():
        pass
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert list(there.iterdir()) == []
    until(lambda: not _processes_in(there), "the end of its processes")


def _processes_in(folder: Path) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            text = path.read_bytes()
        except OSError:
            continue
        if f"TMPDIR={folder}".encode() in text:
            found.append(path.parent.name)
    return found
