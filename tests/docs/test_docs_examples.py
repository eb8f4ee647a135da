"""What the pages show does work: the tutorial's receiver, every TOML example, the lists."""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from espf.handlers.event_sender.settings import EventSenderSettings
from espf.handlers.options import describe, read_options
from espf.handlers.types import handler_type, handler_type_names

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs" / "tutorial" / "first-receiver.md"


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text("utf-8"), flags=re.DOTALL)


@contextmanager
def tutorial_receiver(folder: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    (source,) = blocks(TUTORIAL, "python")
    # Port 5000 may be in use where the tests run; any free one will do, and it has to be told.
    shown = "server = ThreadingHTTPServer\\1\nprint(server.server_port, flush=True)\nserver"
    source = re.sub(
        r"ThreadingHTTPServer(\(.*?Receiver\))", shown, source.replace(", 5000)", ", 0)")
    )
    (folder / "receiver.py").write_text(source)
    process = subprocess.Popen(
        [sys.executable, str(folder / "receiver.py")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process, int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


def test_the_tutorials_receiver_prints_the_event_and_answers_200(tmp_path: Path) -> None:
    event = {"event_type": "Account/New", "variables": {"i_event": 1}}
    with tutorial_receiver(tmp_path) as (process, port):
        request = Request(
            f"http://127.0.0.1:{port}/events", data=json.dumps(event).encode(), method="POST"
        )
        with urlopen(request, timeout=20) as answer:
            assert answer.status == 200
        assert process.stdout is not None
        assert process.stdout.readline() == "Account/New {'i_event': 1}\n"


def handler_files() -> list[str]:
    readme = re.findall(r"<<'TOML'\n(.*?)TOML\n", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    return [*readme, *blocks(TUTORIAL, "toml")]


@pytest.mark.parametrize("text", handler_files())
def test_every_handlers_file_shown_holds_only_right_options(text: str) -> None:
    for handler in tomllib.loads(text)["handler"]:
        read_options(EventSenderSettings, handler["options"], "EventSender")


def test_every_option_shown_elsewhere_is_one() -> None:
    types = [handler_type(name) for name in handler_type_names()]
    known = {option.name for kind in types for option in describe(kind.settings)}
    known |= {"Mailbox.Host", "Mailbox.Port"}  # of the page on one's own handler
    for page in (ROOT / "docs").rglob("*.md"):
        for text in re.findall(r'^"([A-Z][\w.]+)" = ', page.read_text("utf-8"), re.MULTILINE):
            assert text in known, f"{page.name} shows {text}"


def test_each_dependency_has_its_reason() -> None:
    page = (ROOT / "docs" / "decisions" / "0004-dependencies.md").read_text("utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    needed = {re.split(r"[\[<>=]", line)[0] for line in project["project"]["dependencies"]}
    assert set(re.findall(r"^\| ([a-z0-9-]+) \|", page, re.MULTILINE)) - {"package"} == needed
    groups = project["dependency-groups"]
    for line in groups["test"] + groups["lint"] + groups["bench"]:
        assert re.split(r"[\[<>=]", line)[0] in page


def test_locked_files_hold_hashes_and_no_address() -> None:
    for path in (ROOT / "requirements").glob("*.txt"):
        text = path.read_text("utf-8")
        assert "://" not in text
        assert not re.search(r"^ *-(i|f|-index|-extra|-find)", text, re.MULTILINE)
        packages = re.findall(r"^[a-z0-9][^\n]*==", text, re.MULTILINE)
        assert packages
        assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}", text)) >= len(packages)
