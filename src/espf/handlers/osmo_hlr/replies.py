"""What osmo-hlr says: `GET_REPLY id variable value`, `SET_REPLY …`, `ERROR id text`, `TRAP …`."""

from typing import Literal, NamedTuple

Verb = Literal["GET", "SET"]
_LONGEST_NUMBER = 10


class Reply(NamedTuple):
    """An answer to the command of this number."""

    number: int
    verb: Verb | None
    """What was answered; None: an error."""
    variable: str
    text: str
    """The value, or the error's text."""


class NotCtrl(ValueError):  # noqa: N818 - caught by the connection, which tells what it means
    """Whoever listens there does not speak the control interface."""


def parse(text: str) -> Reply | None:
    """Return the answer, or None for a TRAP, which answers nothing. Raises NotCtrl."""
    kind, _, rest = text.partition(" ")
    number, _, rest = rest.partition(" ")
    if kind == "TRAP":
        return None
    if not (number.isascii() and number.isdigit() and len(number) <= _LONGEST_NUMBER):
        raise NotCtrl
    match kind:
        case "ERROR":
            return Reply(int(number), None, "", rest.strip())
        case "GET_REPLY":
            return Reply(int(number), "GET", *_value(rest))
        case "SET_REPLY":
            return Reply(int(number), "SET", *_value(rest))
        case _:
            raise NotCtrl


def _value(rest: str) -> tuple[str, str]:
    variable, _, value = rest.partition(" ")
    return variable, value
