"""One call that changes something on a far side."""

import re
from dataclasses import dataclass, fields
from typing import ClassVar, NamedTuple

_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")


class Answer(NamedTuple):
    """What the far side said to a step that it accepted."""

    code: int | None = None
    text: str = ""
    """Masked before it is stored."""


@dataclass(frozen=True, slots=True)
class Step:
    """Base of a handler's steps: small frozen dataclasses, named for what they do.

    A step carries all that its call needs and can be taken twice: it sets, it never adds. Secrets
    in it are of type `Secret`, which shows itself as `…`. Steps are compared and hashed to see
    whether one that was taken is needed again, so equal steps must mean the same call.
    """

    phase: ClassVar[int] = 0
    """Steps of all identities that one event touches are taken in the order of their phases: in a
    swap the new card is made (1) before it gets the number (2) and the old one goes (3)."""

    identity: str
    """Whom it concerns on the far side: an IMSI, a user name."""

    def __str__(self) -> str:
        """For logs and dry runs: `set number 001010000000001: msisdn=4912345`."""
        words = " ".join(_WORD.split(type(self).__name__)).lower()
        given = ", ".join(
            f"{field.name}={_shown(getattr(self, field.name))}"
            for field in fields(self)
            if field.name != "identity" and field.repr
        )
        return f"{words} {self.identity}" + (f": {given}" if given else "")


def _shown(value: object) -> str:
    """A set in an order of its own would differ each time."""
    return ",".join(sorted(map(str, value))) if isinstance(value, frozenset) else str(value)
