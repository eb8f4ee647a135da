"""Every way a request can fail, and the one place where foreign exceptions become ours.

DeliveryError
├── ConnectRefused   nobody listens there, or no way to the host: nothing was sent
├── ConnectFailed    no name, no address, no connection in time: nothing was sent
├── AddressRefused   the address is one we never talk to: nothing was sent
├── TlsFailed        the certificate, or the handshake
├── AnswerTimeout    sent, and no complete answer in time
├── ConnectionLost   sent or partly sent, and the connection ended before the answer did
└── BrokenAnswer     an answer came that is not HTTP, or larger than we take

`sent` tells whether the far side may have acted on the request. No message holds a path, a header
or a body: each may carry a secret.
"""

import errno
import socket
import ssl

import httptools

from espf.errors import ProvisioningError

UNREACHABLE = frozenset(
    {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN, errno.ECONNREFUSED}
)
FOREIGN = (
    OSError,  # socket errors, gaierror, ssl.SSLError and TimeoutError are among its children
    ssl.CertificateError,
    UnicodeError,  # a host name that IDNA cannot encode
    httptools.HttpParserError,
    httptools.HttpParserUpgrade,
)
"""All that sockets, TLS, name resolution and the parser raise when the network misbehaves."""


class DeliveryError(ProvisioningError):
    """A request got no complete answer; the message is a sentence for the operator."""

    def __init__(self, message: str, *, sent: bool = False) -> None:
        super().__init__(message)
        self.sent = sent
        """Whether any byte of the request may have reached the far side."""


class ConnectRefused(DeliveryError):  # noqa: N818 - the field's word
    """The connection was refused or the host cannot be reached: nothing was sent."""


class ConnectFailed(DeliveryError):  # noqa: N818 - the field's word
    """No connection for another reason, time included: nothing was sent."""


class AddressRefused(DeliveryError):  # noqa: N818 - the field's word
    """The host resolves to no address that we may talk to: nothing was sent."""


class TlsFailed(DeliveryError):  # noqa: N818 - the field's word
    """The far side's certificate, or ours, or the handshake."""


class AnswerTimeout(DeliveryError):  # noqa: N818 - the field's word
    """Sent, and no complete answer came in time."""

    def __init__(self, message: str, *, sent: bool = True) -> None:
        super().__init__(message, sent=sent)


class ConnectionLost(DeliveryError):  # noqa: N818 - the field's word
    """Sent, at least in part, and the connection ended before a complete answer."""

    def __init__(self, message: str, *, sent: bool = True) -> None:
        super().__init__(message, sent=sent)


class BrokenAnswer(DeliveryError):  # noqa: N818 - the field's word
    """The answer is not HTTP, or larger than we take."""

    def __init__(self, message: str, *, sent: bool = True) -> None:
        super().__init__(message, sent=sent)


def translated(error: BaseException, place: str, *, sent: bool) -> DeliveryError:
    """Our error for one of `FOREIGN`; `place` is `host:port`, `sent` whether anything went out.

    Raises TypeError for an exception that is none of `FOREIGN`: that is a bug, not the network.
    """
    if isinstance(error, DeliveryError):
        return error
    if isinstance(error, httptools.HttpParserError | httptools.HttpParserUpgrade):
        return BrokenAnswer(f"{place} answered with something that is not HTTP/1.x: {_text(error)}")
    if isinstance(error, ssl.SSLError | ssl.CertificateError):
        return _tls(error, place, sent=sent)
    if sent and isinstance(error, OSError):
        return ConnectionLost(f"the connection to {place} was lost: {_text(error)}")
    return _unsent(error, place)


def _unsent(error: BaseException, place: str) -> DeliveryError:
    if isinstance(error, socket.gaierror):
        return ConnectFailed(f"the name in {place} does not resolve: {_text(error)}")
    if isinstance(error, UnicodeError):
        return ConnectFailed(f"the name in {place} cannot be a host name")
    if not isinstance(error, OSError):
        raise TypeError(f"{type(error).__name__} is no error of the network") from error
    if isinstance(error, ConnectionRefusedError) or error.errno in UNREACHABLE:
        return ConnectRefused(f"no connection to {place}: {_text(error)}")
    return ConnectFailed(f"no connection to {place}: {_text(error)}")


def _tls(error: BaseException, place: str, *, sent: bool) -> TlsFailed:
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = getattr(error, "verify_message", "") or _text(error)
        return TlsFailed(
            f"the certificate of {place} is not accepted: {reason}; see the TLS options", sent=sent
        )
    reason = getattr(error, "reason", None) or _text(error)
    if "ALERT" in reason and ("CERTIFICATE" in reason or "UNKNOWN_CA" in reason):
        # A server that refuses our certificate says so before it reads any request.
        return TlsFailed(f"{place} refuses our client certificate, or wants one: {reason}")
    return TlsFailed(f"TLS with {place} failed: {reason}", sent=sent)


def _text(error: BaseException) -> str:
    if isinstance(error, OSError):
        if isinstance(error, TimeoutError):
            return "timed out"
        return error.strerror or str(error) or type(error).__name__
    return str(error) or type(error).__name__
