"""How a request proves who sends it: the four methods of the handbook (domain, 2.4).

An authenticator gives the header lines of one attempt. What does not depend on the attempt is made
once; a signature over the Date alone once a second.
"""

import base64
import hashlib
import hmac
import time
from functools import lru_cache
from typing import Literal, Protocol

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

Profile = Literal["date-value", "date-line", "hmac-sha256"]
"""What is signed: the Date's value (reconstructed), its header line, or also path and body."""


def date_header(now_us: int) -> str:
    """Value of the Date header, IMF-fixdate (RFC 9110, 5.6.7), in English whatever the locale."""
    return _imf_fixdate(now_us // 1_000_000)


@lru_cache(maxsize=8)
def _imf_fixdate(second: int) -> str:
    at = time.gmtime(second)
    return (
        f"{DAYS[at.tm_wday]}, {at.tm_mday:02} {MONTHS[at.tm_mon - 1]} {at.tm_year:04} "
        f"{at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02} GMT"
    )


class Authenticator(Protocol):
    """One way to prove who sends."""

    def lines(self, date: str, path: str, body: bytes) -> bytes:
        """Return the header lines, each with its CRLF, without Date.

        `date` is the value of the Date header, `path` the request's with its query.
        """


class NoAuth:
    """Method None: no header at all."""

    def lines(self, date: str, path: str, body: bytes) -> bytes:  # noqa: ARG002 - the port's
        """Return nothing."""
        return b""


class _Static:
    """A header that is the same for every request."""

    __slots__ = ("_lines",)

    def __init__(self, header: str, value: str) -> None:
        self._lines = _line(header, value)

    def lines(self, date: str, path: str, body: bytes) -> bytes:  # noqa: ARG002 - the port's
        """Return the header."""
        return self._lines


class BasicAuth(_Static):
    """Method Basic: `Basic ` and base64 of `user:key` in UTF-8."""

    def __init__(self, header: str, user: str, key: str) -> None:
        """Raises ValueError for a user with a colon: the receiver would split it there."""
        if ":" in user:
            raise ValueError("the user of Basic authentication must have no colon")
        super().__init__(header, f"Basic {_base64(f'{user}:{key}'.encode())}")


class CustomAuth(_Static):
    """Method Custom: a type such as `Bearer`, one space, the credentials."""

    def __init__(self, header: str, kind: str, credentials: str) -> None:
        """Raises ValueError unless the value would hold exactly one space (domain, 2.3)."""
        if " " in kind or " " in credentials:
            raise ValueError("type and credentials of Custom authentication must have no space")
        super().__init__(header, f"{kind} {credentials}")


class SignatureAuth:
    """Method Signature: an HMAC of the Date; with `hmac-sha256` of path, Date and body."""

    __slots__ = ("_date", "_header", "_key", "_key_id", "_lines", "_profile")

    def __init__(self, header: str, key_id: str, key: str, profile: Profile = "date-value") -> None:
        """Raises ValueError for a key id that would end its own quotes."""
        if any(letter in key_id for letter in '" \\'):
            raise ValueError("the key id of a signature must have no quote, backslash or space")
        self._header = header
        self._key_id = key_id
        self._key = key.encode()
        self._profile = profile
        self._date = ""
        self._lines = b""

    def lines(self, date: str, path: str, body: bytes) -> bytes:
        """Return the header, and Digest where the profile has one."""
        if self._profile == "hmac-sha256":
            return self._full(date, path, body)
        if date != self._date:
            self._lines = self._dated(date)
            self._date = date
        return self._lines

    def _dated(self, date: str) -> bytes:
        text = f"date: {date}" if self._profile == "date-line" else date
        # SHA-1 is the vendor's choice; as an HMAC it is not broken.
        signature = _base64(hmac.digest(self._key, text.encode(), "sha1"))
        return _line(
            self._header,
            f'Signature keyId="{self._key_id}",algorithm="hmac-sha1",signature="{signature}"',
        )

    def _full(self, date: str, path: str, body: bytes) -> bytes:
        digest = f"SHA-256={_base64(hashlib.sha256(body).digest())}"
        text = f"(request-target): post {path}\ndate: {date}\ndigest: {digest}"
        signature = _base64(hmac.digest(self._key, text.encode(), "sha256"))
        value = (
            f'Signature keyId="{self._key_id}",algorithm="hmac-sha256",'
            f'headers="(request-target) date digest",signature="{signature}"'
        )
        return _line("Digest", digest) + _line(self._header, value)


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def _line(header: str, value: str) -> bytes:
    if any(letter in header + value for letter in "\r\n\0"):
        raise ValueError(
            f"the value of {header!r} must have no line break"
        )  # not the value: secret
    return f"{header}: {value}\r\n".encode()
