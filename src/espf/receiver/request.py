"""One request as it came, and the event in it."""

import json
from typing import Any, NamedTuple

MAX_BODY_BYTES = 1 << 20
"""An event has some 200 bytes; what is larger than this is not one."""


class Request(NamedTuple):
    """What was sent to us."""

    method: str
    target: str
    """Path and query, as on the request line."""
    headers: tuple[tuple[str, str], ...]
    """Names in lower case, in the order they came."""
    body: bytes

    def values(self, name: str) -> list[str]:
        """Every value of a header, in order."""
        wanted = name.lower()
        return [value for key, value in self.headers if key == wanted]

    def only(self, name: str) -> str | None:
        """The header's value, or None if it is missing or there are several."""
        values = self.values(name)
        return values[0] if len(values) == 1 else None


class Refusal(NamedTuple):
    """An answer that is not 200, with a reason for whoever develops the sender."""

    status: int
    reason: str


class Received(NamedTuple):
    """A well-formed event."""

    event: dict[str, Any]
    """The body as it came: `event_type` and `variables`."""
    i_event: int | None
    """What tells repeats; None when the sender leaves it out (`WithUniqueID` off)."""


def parse(request: Request) -> Received | Refusal:
    """Read the event out of a request (domain 2.3). Extra top-level keys are let through."""
    media_type = (request.only("content-type") or "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        return Refusal(415, "Content-Type is not application/json")
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError):
        return Refusal(400, "the body is not JSON")
    return _received(body)


def _received(body: object) -> Received | Refusal:
    if not isinstance(body, dict) or not isinstance(body.get("event_type"), str):
        return Refusal(400, "the body has no event_type")
    variables = body.get("variables")
    if not isinstance(variables, dict):
        return Refusal(400, "the body has no variables; a sender always sends them, {} at least")
    if "i_event" not in variables:
        return Received(body, None)
    i_event = _number(variables["i_event"])
    if i_event is None:
        return Refusal(400, "i_event is neither a number nor a numeric text")
    return Received(body, i_event)


def _number(value: object) -> int | None:
    """Ids are numbers, yet one documented example shows text: take both (domain 2.3)."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if 0 <= value < 1 << 63 else None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 18:
        return int(value)
    return None
