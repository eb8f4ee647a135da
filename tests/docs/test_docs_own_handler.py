"""The how-to on writing a handler, done as it is written: the package installed, and at work."""

import json
import os
import re
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cli_rig import Installation, until

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "write-a-handler.md"


def block(language: str, number: int = 0) -> str:
    text = PAGE.read_text("utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)[number]


class Voicemail(socketserver.StreamRequestHandler):
    """The server of the page."""

    boxes: dict[str, dict[str, Any]]

    def handle(self) -> None:
        ask = json.loads(self.rfile.readline())
        self.wfile.write(json.dumps(self.answer(ask)).encode() + b"\n")

    def answer(self, ask: dict[str, Any]) -> object:
        match ask:
            case {"do": "get", "user": user}:
                return self.boxes.get(user)
            case {"do": "list"}:
                return list(self.boxes)
            case {"do": "put", "user": user, "pin": pin, "enabled": enabled}:
                if len(pin) > 12:
                    return f"the pin {pin} is too long"
                self.boxes[user] = {"pin": pin, "enabled": enabled}
                return True
            case {"do": "remove", "user": user}:
                self.boxes.pop(user, None)
                return True
        return "?"


@contextmanager
def voicemail() -> Iterator[tuple[int, dict[str, dict[str, Any]]]]:
    handler = type("Handler", (Voicemail,), {"boxes": {}})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server.server_address[1], handler.boxes
        server.shutdown()
        thread.join()


@pytest.fixture
def installed(tmp_path: Path) -> Installation:
    """An installation with the page's package beside espf."""
    package, site = tmp_path / "package", tmp_path / "site"
    package.mkdir()
    (package / "pyproject.toml").write_text(block("toml"))
    (package / "espf_mailbox.py").write_text(block("python"))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run(
        [*pip, "--no-index", "--disable-pip-version-check", "--target", str(site), str(package)],
        check=True,
        env=os.environ | {"PIP_CONFIG_FILE": os.devnull},
    )
    made = Installation(tmp_path)
    made.environment["PYTHONPATH"] = str(site)
    return made


def test_the_handler_of_the_page_carries_changes_audits_and_resyncs(
    installed: Installation,
) -> None:
    with voicemail() as (port, boxes):
        toml = block("toml", 1).replace("7000", str(port))
        installed.ok("apply", installed.write("handlers.toml", toml))
        installed.ok("registry", "add", "customer", "name=Easy Call")
        add = ["registry", "add", "account", "i_customer=1", "h323_password=1234"]
        installed.ok(*add, "id=100")
        dry = installed.ok("handlers", "resync", "voicemail", "--all", "--dry-run")
        assert "account 1: put mailbox 100: pin=…, enabled=True" in dry
        assert boxes == {}

        with installed.running("instance"):
            until(lambda: boxes == {"100": {"pin": "1234", "enabled": True}}, "a mailbox")
            installed.ok("registry", "update", "account", "id=100", "blocked=Y")
            until(lambda: not boxes["100"]["enabled"], "the block")
            installed.ok("registry", "update", "account", "id=100", "id=101", "h323_password=99")
            until(lambda: list(boxes) == ["101"], "the new name")
            installed.ok("registry", "update", "account", "id=101", "bill_status=C")
            until(lambda: boxes == {}, "the removal")
            installed.ok(*add[:-1], "h323_password=12345678901234567890", "id=102")
            failed = until(
                lambda: installed.record("events", "list", "--status", "failed"), "a refusal"
            )
        assert "refused to put: the pin *** is too long" in failed[0]["reason"]

        installed.ok("registry", "update", "account", "id=102", "h323_password=55")
        boxes["stranger"] = {"pin": "1", "enabled": True}
        done = installed.run("handlers", "audit", "voicemail")
        assert done.returncode == 1
        assert "1 right, 1 missing, 1 extra" in done.stdout
        assert "1 mended" in installed.ok("handlers", "resync", "voicemail", "--all")
        assert boxes["102"] == {"pin": "55", "enabled": True}
