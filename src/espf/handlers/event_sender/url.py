"""The address of a receiving application, taken apart and checked (domain, 2.1)."""

import re
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple
from urllib.parse import quote

_DEFAULT_PORTS = {"http": 80, "https": 443}
_AUTHORITY = re.compile(r"(?P<host>\[[^\]]*\]|[^:]*)(?::(?P<port>[0-9]*))?")
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_ASCII_OF_A_PATH = "".join(map(chr, range(0x21, 0x7F)))


class Url(NamedTuple):
    """The parts that a request needs."""

    scheme: str
    """http or https"""
    host: str
    """ASCII: a name (IDNA), an IPv4 address, or an IPv6 address without brackets."""
    port: int
    path: str
    """With the query; at least `/`."""


def parse_url(text: str) -> Url:
    """Take an http(s) URL apart.

    Raises ValueError that says what is wrong and never shows the URL: it may hold a password.
    """
    if any(char <= " " or char.isspace() or "\x7f" <= char <= "\x9f" for char in text):
        raise ValueError("must not contain spaces or control characters.")
    scheme, found, rest = text.partition("://")
    scheme = scheme.lower()
    if not found or scheme not in _DEFAULT_PORTS:
        raise ValueError("must begin with http:// or https://.")
    if "#" in rest:
        raise ValueError("must not have a fragment (#…): no server ever sees it.")
    if "\\" in rest:
        raise ValueError("must not contain a backslash.")
    end = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
    host, port = _authority(rest[:end])
    path = quote(rest[end:], safe=_ASCII_OF_A_PATH)
    return Url(
        scheme, host, port or _DEFAULT_PORTS[scheme], path if path[:1] == "/" else f"/{path}"
    )


def _authority(text: str) -> tuple[str, int | None]:
    if "@" in text:
        raise ValueError(
            "must not have a user part (user:password@…); use EventSender.BasicAuth.User and .Key."
        )
    found = _AUTHORITY.fullmatch(text)
    if found is None:
        raise ValueError("has no valid host and port after the //, such as hss.example:8080.")
    return _host(found["host"]), _port(found["port"])


def _port(text: str | None) -> int | None:
    if not text:
        return None
    if len(text) > 5 or not 1 <= int(text) <= 65535:
        raise ValueError("must have a port from 1 to 65535.")
    return int(text)


def _host(text: str) -> str:
    if not text:
        raise ValueError("has no host after the //.")
    try:
        if text.startswith("["):
            return str(IPv6Address(_without_zone(text[1:-1])))
        if not text.strip("0123456789."):
            return str(IPv4Address(text))
    except ValueError:
        raise ValueError("has an invalid IP address as its host.") from None
    return _name(text)


def _without_zone(text: str) -> str:
    if "%" in text:  # a zone names an interface; those addresses are link-local, refused anyway
        raise ValueError(text)
    return text


def _name(text: str) -> str:
    try:
        name = text.encode("idna").decode("ascii").lower()
    except UnicodeError:
        name = ""
    labels = name.removesuffix(".").split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("has an invalid host name.")
    return name
