"""The names that an event mentions: those before a swap or a rename are found there only."""

from collections.abc import Sequence
from typing import Literal

from espf.events.model import Event
from espf.events.payload import own_variables

_NAMES = {
    "imsi": ("prev_imsi", "imsi", "curr_imsi"),
    "id": ("prev_id", "id", "curr_id"),
}


def named_in(event: Event, kind: Literal["imsi", "id"]) -> Sequence[str]:
    """IMSIs or ids in the event's variables, each once. Raises PayloadError for broken ones."""
    variables = own_variables(event)
    found = (variables.get(name) for name in _NAMES[kind])
    return list(dict.fromkeys(text for text in found if isinstance(text, str) and text))
