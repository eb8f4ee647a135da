"""Checks of single YateHSS options: each returns its value, or raises ValueError.

The error's text follows the option's name in a sentence.
"""

import re
from contextlib import suppress
from ipaddress import ip_address

from pydantic import SecretStr

from espf.delivery.address import objection
from espf.delivery.model import Target
from espf.events.catalogue import shown
from espf.events.patterns import split_patterns
from espf.handlers.yate_hss.template import parse_template

SERVICES = ("cs", "ps", "lte")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_PATTERN = re.compile(r"[0-9*]{1,16}", re.ASCII)
_TAKEN_HEADERS = frozenset({"host", "content-length", "content-type", "connection", "date"})


def url(text: str) -> str:
    """http(s), a host that may be connected to, no user part, no fragment."""
    try:
        target = Target.from_url(text)
    except ValueError as error:
        raise ValueError(f"is wrong: {error}.") from None
    reason = None
    with suppress(ValueError):  # a name: what it stands for is checked at each connect
        reason = objection(ip_address(target.host), ())
    if reason is not None:
        raise ValueError(f"must name another host: {reason}.")
    return text


def header(text: str) -> str:
    """A header's name that means nothing else."""
    if not _TOKEN.fullmatch(text):
        raise ValueError("must be a header's name: letters, digits and - without spaces.")
    if text.lower() in _TAKEN_HEADERS:
        raise ValueError(f"must not be {text}: that header has a meaning of its own.")
    return text


def secret(given: SecretStr) -> SecretStr:
    """Visible ASCII: it goes into a header."""
    text = given.get_secret_value()
    if not text or not all("!" <= char <= "~" for char in text):
        raise ValueError("must be visible ASCII characters without a space, and not empty.")
    return given


def word(text: str) -> str:
    """Not empty."""
    if not text.strip():
        raise ValueError("must not be empty.")
    return text


def services_in(text: str) -> frozenset[str]:
    """The services of a list with commas."""
    return frozenset(split_patterns(text))


def block_scope(text: str) -> str:
    """Some of cs, ps, lte."""
    found = services_in(text)
    if not found or not found <= set(SERVICES):
        raise ValueError(f"must be some of cs, ps, lte with commas between, not {shown(text)}.")
    return text


def imsi_patterns(text: str) -> str:
    """Digits, with * for any others."""
    for pattern in split_patterns(text):
        if not _PATTERN.fullmatch(pattern):
            raise ValueError(
                f"must be IMSIs with * for any digits, such as 00101*; {shown(pattern)} is none."
            )
    return text


def template(text: str) -> str:
    """A JSON object whose fields are known."""
    parse_template(text)
    return text
