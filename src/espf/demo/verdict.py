"""Judges the demo by what the receiver wrote down: everything there, in order, repeats marked."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from espf.events.model import Event


class Arrival(NamedTuple):
    """One accepted request in the receiver's record."""

    i_event: int
    duplicate: bool


def read_record(path: Path) -> list[Arrival]:
    """Accepted requests in the order in which they came."""
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    entries = [json.loads(line) for line in lines]
    return [
        Arrival(entry["event"]["variables"]["i_event"], entry["duplicate"])
        for entry in entries
        if entry["status"] == 200
    ]


def faults(events: Sequence[Event], arrivals: Iterable[Arrival]) -> list[str]:
    """Everything that is wrong, a sentence each; nothing when all is well."""
    entity = {event.i_event: f"{event.entity} {event.entity_id}" for event in events}
    found: list[str] = []
    seen: set[int] = set()
    latest: dict[str, int] = {}
    for i_event, duplicate in arrivals:
        if i_event not in entity:
            found.append(f"Event {i_event} arrived and is not in the log.")
        elif i_event in seen:
            if not duplicate:
                found.append(f"Event {i_event} was repeated and not known as a repeat.")
        elif latest.get(entity[i_event], 0) > i_event:
            found.append(f"Event {i_event} of {entity[i_event]} came after a later one.")
        else:
            latest[entity[i_event]] = i_event
        seen.add(i_event)
    found += [f"Event {number} never arrived." for number in entity if number not in seen]
    return found
