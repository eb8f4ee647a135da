"""Handler types are found by entry point, whoever brings them."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from espf.errors import ConfigError, HandlerError
from espf.handlers.types import handler_type, handler_type_names


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """Install a package that brings one handler type, as `pip install` would."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def installed(package: str, entry: str, source: str) -> None:
        module = package.replace("-", "_")
        meta = tmp_path / f"{module}-1.0.dist-info"
        meta.mkdir()
        (meta / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (meta / "entry_points.txt").write_text(f"[espf.handlers]\n{entry} = {module}:Type\n")
        (tmp_path / f"{module}.py").write_text(source)

    yield installed
    for name in [name for name in sys.modules if name.startswith("acme_")]:
        del sys.modules[name]


GOOD = "class Type:\n    name = 'AcmeHSS'\n    settings = None\n    def start(self): ...\n"


def test_event_sender_is_installed() -> None:
    assert "EventSender" in handler_type_names()
    assert handler_type("EventSender").name == "EventSender"


def test_an_unknown_type_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match="EventSendr is not a handler type; did you mean EventS"):
        handler_type("EventSendr")


def test_a_type_of_another_package_is_found(install) -> None:
    install("acme-hss", "AcmeHSS", GOOD)
    assert "AcmeHSS" in handler_type_names()
    assert handler_type("AcmeHSS").name == "AcmeHSS"


@pytest.mark.parametrize(
    "source",
    [
        "import no_such_module",
        "def (",
        "raise RuntimeError('needs Python 4')",
        "Other = 1",
        "class Type:\n    def __init__(self, needed): ...",
    ],
)
def test_a_type_that_does_not_load_names_its_package(install, source: str) -> None:
    install("acme-broken", "AcmeBroken", source)
    with pytest.raises(HandlerError, match="AcmeBroken of the package acme-broken does not load"):
        handler_type("AcmeBroken")


def test_something_that_is_no_handler_type_is_refused(install) -> None:
    install("acme-odd", "AcmeOdd", "class Type:\n    name = 'AcmeOdd'\n")
    with pytest.raises(HandlerError, match="has no settings, start"):
        handler_type("AcmeOdd")


def test_two_packages_with_the_same_type_are_refused(install) -> None:
    install("acme-one", "AcmeHSS", GOOD)
    install("acme-two", "AcmeHSS", GOOD)
    with pytest.raises(HandlerError, match="acme-one and from the package acme-two; remove"):
        handler_type("AcmeHSS")
