"""Checks of options that several handlers have: each returns its value, or raises ValueError.

The error's text follows the option's name in a sentence. None shows what may be a secret.
"""

import re
from contextlib import suppress
from ipaddress import ip_address

from pydantic import SecretStr

from espf.delivery.address import objection
from espf.delivery.model import Target
from espf.events.catalogue import shown
from espf.events.patterns import split_patterns

_PATTERN = re.compile(r"[0-9*]{1,16}", re.ASCII)


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


def secret(given: SecretStr) -> SecretStr:
    """Visible ASCII: it goes into a header."""
    text = given.get_secret_value()
    if not text or not all("!" <= char <= "~" for char in text):
        raise ValueError("must be visible ASCII characters without a space, and not empty.")
    return given


def optional_secret(given: SecretStr | None) -> SecretStr | None:
    """The same, of an option that need not be set; empty, it is not."""
    return secret(given) if given else None


def imsi_patterns(text: str) -> str:
    """Digits, with * for any others."""
    for pattern in split_patterns(text):
        if not _PATTERN.fullmatch(pattern):
            raise ValueError(
                f"must be IMSIs with * for any digits, such as 00101*; {shown(pattern)} is none."
            )
    return text
