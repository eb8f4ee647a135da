"""What one check found."""

from typing import Literal, NamedTuple

Verdict = Literal["ok", "warn", "wrong"]


class Finding(NamedTuple):
    """A sentence on how things are, and one on how to mend them."""

    check: str
    verdict: Verdict
    message: str
    mend: str = ""


def ok(check: str, message: str) -> Finding:
    """All is well."""
    return Finding(check, "ok", message)


def warn(check: str, message: str, mend: str = "") -> Finding:
    """It works, and is probably not meant so."""
    return Finding(check, "warn", message, mend)


def wrong(check: str, message: str, mend: str = "") -> Finding:
    """Something does not work."""
    return Finding(check, "wrong", message, mend)
