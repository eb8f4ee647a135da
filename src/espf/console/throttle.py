"""Slows guessing of passwords: five failures a minute for a user name from an address."""

import hashlib

from django.core.cache import cache

FAILURES = 5
WINDOW_S = 60


def is_throttled(user: str, address: str) -> bool:
    """Whether there were too many failures in the last minute."""
    return int(cache.get(_key(user, address), 0)) >= FAILURES


def count_failure(user: str, address: str) -> None:
    """Remember a failure; the minute begins with the first."""
    key = _key(user, address)
    if not cache.add(key, 1, WINDOW_S):
        try:
            cache.incr(key)
        except ValueError:  # it ended between the two
            cache.add(key, 1, WINDOW_S)


def forget(user: str, address: str) -> None:
    """The right password came."""
    cache.delete(_key(user, address))


def _key(user: str, address: str) -> str:
    """A hash: the name is whatever somebody sent."""
    text = f"{user.casefold()}\0{address}".encode("utf-8", "replace")
    return f"login-{hashlib.sha256(text).hexdigest()}"
