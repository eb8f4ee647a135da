"""Checks of single YateHSS options: each returns its value, or raises ValueError.

The error's text follows the option's name in a sentence.
"""

import re

from espf.events.catalogue import shown
from espf.events.patterns import split_patterns
from espf.handlers.yate_hss.template import parse_template

SERVICES = ("cs", "ps", "lte")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_TAKEN_HEADERS = frozenset({"host", "content-length", "content-type", "connection", "date"})


def header(text: str) -> str:
    """A header's name that means nothing else."""
    if not _TOKEN.fullmatch(text):
        raise ValueError("must be a header's name: letters, digits and - without spaces.")
    if text.lower() in _TAKEN_HEADERS:
        raise ValueError(f"must not be {text}: that header has a meaning of its own.")
    return text


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


def template(text: str) -> str:
    """A JSON object whose fields are known."""
    parse_template(text)
    return text
