"""Every exception of the network becomes one of ours, with a sentence and without the path."""

import errno
import socket
import ssl

import httptools
import pytest

from espf.delivery import errors
from espf.delivery.errors import (
    FOREIGN,
    BrokenAnswer,
    ConnectFailed,
    ConnectionLost,
    ConnectRefused,
    DeliveryError,
    TlsFailed,
    translated,
)

PLACE = "hss.example:443"


def family(kind: type[BaseException]) -> list[type[BaseException]]:
    children = [grand for child in kind.__subclasses__() for grand in family(child)]
    return [kind, *children]


STACK = {"builtins", "encodings", "httptools", "socket", "ssl"}
"""What a client stands on. Other libraries, loaded by other tests, have children of OSError too."""
ALL = sorted(
    {
        kind
        for parent in FOREIGN
        for kind in family(parent)
        if kind.__module__.partition(".")[0] in STACK
    },
    key=lambda kind: (kind.__module__, kind.__qualname__),
)


def made(kind: type[BaseException]) -> BaseException:
    """An exception of this class, however its constructor would like to be called."""
    if issubclass(kind, UnicodeTranslateError):
        return kind("x", 0, 1, "why")
    if issubclass(kind, UnicodeDecodeError):
        return kind("idna", b"x", 0, 1, "why")
    if issubclass(kind, UnicodeEncodeError):
        return kind("idna", "x", 0, 1, "why")
    try:
        return kind(1, "why")
    except TypeError:
        return kind.__new__(kind)


@pytest.mark.parametrize("sent", [False, True])
@pytest.mark.parametrize("kind", ALL, ids=lambda kind: f"{kind.__module__}.{kind.__qualname__}")
def test_no_exception_of_the_network_is_missed(kind, sent) -> None:
    ours = translated(made(kind), PLACE, sent=sent)
    assert isinstance(ours, DeliveryError)
    assert type(ours) is not DeliveryError
    assert PLACE in str(ours)
    if isinstance(ours, ConnectRefused | ConnectFailed):
        assert not ours.sent


@pytest.mark.parametrize(
    ("error", "sent", "kind"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), False, ConnectRefused),
        (OSError(errno.EHOSTUNREACH, "No route to host"), False, ConnectRefused),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), False, ConnectRefused),
        (OSError(errno.EMFILE, "Too many open files"), False, ConnectFailed),
        (TimeoutError(), False, ConnectFailed),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), False, ConnectFailed),
        (UnicodeError("label too long"), False, ConnectFailed),
        (ConnectionResetError(errno.ECONNRESET, "reset"), True, ConnectionLost),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), True, ConnectionLost),
        (TimeoutError(errno.ETIMEDOUT, "Connection timed out"), True, ConnectionLost),
        (ssl.SSLCertVerificationError(1, "unknown CA"), False, TlsFailed),
        (ssl.SSLEOFError(8, "EOF"), True, TlsFailed),
        (httptools.HttpParserError("Expected HTTP/"), True, BrokenAnswer),
        (httptools.HttpParserUpgrade(7), True, BrokenAnswer),
    ],
)
def test_an_exception_becomes_the_error_that_says_what_happened(error, sent, kind) -> None:
    assert type(translated(error, PLACE, sent=sent)) is kind


def test_an_error_of_ours_stays_as_it_is() -> None:
    error = ConnectFailed("no")
    assert translated(error, PLACE, sent=True) is error


@pytest.mark.parametrize("sent", [False, True])
def test_a_bug_is_not_passed_off_as_an_error_of_the_network(sent) -> None:
    with pytest.raises(TypeError):
        translated(KeyError("x"), PLACE, sent=sent)


def test_errors_after_sending_say_so_by_themselves() -> None:
    for kind in (errors.AnswerTimeout, errors.ConnectionLost, errors.BrokenAnswer):
        assert kind("x").sent
    for kind in (errors.ConnectRefused, errors.ConnectFailed, errors.AddressRefused):
        assert not kind("x").sent
