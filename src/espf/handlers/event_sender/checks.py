"""Checks of single EventSender options.

Each returns the value it was given, or raises ValueError whose text follows the option's name in a
sentence: "EventSender.URL must not have a fragment". None shows what may be a secret.
"""

import re
from contextlib import suppress
from ipaddress import ip_address, ip_network

from pydantic import SecretStr, ValidationInfo

from espf.delivery.address import objection
from espf.delivery.answers import parse_codes
from espf.errors import ConfigError
from espf.events.catalogue import shown
from espf.events.patterns import split_patterns
from espf.handlers.event_sender.subscriptions import allowed_names
from espf.handlers.event_sender.url import parse_url

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""An HTTP token (RFC 9110, 5.6.2)."""

_VISIBLE = re.compile(r"[!-~]*")

_TAKEN_HEADERS = frozenset(
    {
        "connection",
        "date",
        "digest",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    }
)
"""Headers that have a meaning of their own in our requests."""


def url(text: str) -> str:
    """http(s), a host that may be connected to, no user part, no fragment (domain, 2.1)."""
    host = parse_url(text).host
    reason = None
    with suppress(ValueError):  # a name: what it stands for is checked at each connect
        reason = objection(ip_address(host), ())
    if reason is not None:
        raise ValueError(f"must name another host: {reason}.")
    return text


def allowed_types(text: str, info: ValidationInfo) -> str:
    """Each pattern matches a name that is sent under the handler's APIVersion."""
    api_version = info.data.get("api_version")
    if api_version is not None:  # else that one is wrong, and said to be
        try:
            allowed_names(text, api_version)
        except ConfigError as error:
            raise ValueError("has wrong patterns: " + " ".join(error.problems)) from None
    return text


def auth_header(text: str) -> str:
    """An HTTP token that names no header with another meaning (domain, 2.1)."""
    if not _TOKEN.fullmatch(text):
        raise ValueError("must be a header's name: letters, digits and - without spaces.")
    if text.lower() in _TAKEN_HEADERS or text.lower().startswith("content-"):
        raise ValueError(f"must not be {text}: that header has a meaning of its own.")
    return text


def basic_user(text: str) -> str:
    """No colon: Basic ends the user's name at the first one (RFC 7617)."""
    if ":" in text:
        raise ValueError("must not contain a colon: it ends the name in Basic authentication.")
    return text


def custom_type(text: str) -> str:
    """An HTTP token, so that the header's value has exactly one space."""
    if text and not _TOKEN.fullmatch(text):
        raise ValueError("must be one word, such as Bearer: no space, no punctuation.")
    return text


def credentials(secret: SecretStr | None) -> SecretStr | None:
    """Visible ASCII without a space: some receivers refuse one (domain, 2.1)."""
    if secret is not None and not _VISIBLE.fullmatch(secret.get_secret_value()):
        raise ValueError("must be visible ASCII characters without a space.")
    return secret


def key_id(text: str) -> str:
    """Visible ASCII that needs no escape inside quotes."""
    if not _VISIBLE.fullmatch(text) or '"' in text or "\\" in text:
        raise ValueError("must be visible ASCII characters without space, quote or backslash.")
    return text


def success_codes(text: str) -> str:
    """Status codes of which there is at least one: else nothing would ever finish."""
    if not _codes(text):
        raise ValueError("must name at least one status code, such as 200.")
    return text


def temporary_codes(text: str) -> str:
    """Status codes; those that are not 4xx are repeated anyway (domain, 2.5)."""
    _codes(text)
    return text


def networks(text: str) -> str:
    """CIDRs with no bits set after the prefix."""
    for part in split_patterns(text):
        try:
            ip_network(part)
        except ValueError:
            raise ValueError(
                f"must be networks such as 10.0.0.0/8, separated by commas; {shown(part)} is none."
            ) from None
    return text


def _codes(text: str) -> frozenset[int]:
    try:
        return parse_codes(text)
    except ValueError as error:
        raise ValueError(f"is wrong: {error}") from None


def body_template(text: str) -> str:
    """A template of the allowed language that gives JSON for the events that it is tried on."""
    if text.strip():
        # Jinja2 takes 40 ms to load, which most have no use for.
        from espf.handlers.event_sender.template.body import BodyTemplate  # noqa: PLC0415
        from espf.handlers.event_sender.template.trial import try_out  # noqa: PLC0415

        try_out(BodyTemplate(text))
    return text
