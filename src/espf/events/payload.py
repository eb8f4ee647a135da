"""Request bodies: the event as JSON text, version 1 (standard) and version 2 (simplified).

A renderer is made once for each event type and then called for every event, 40,000 times a second:
version 1 joins texts and parses nothing. `Event.variables` is JSON already, written by capture.

Bodies carry only what the catalogue allows, so no secret (domain, 3).
"""

from collections.abc import Callable
from typing import Any

import orjson

from espf.errors import PayloadError
from espf.events.catalogue import Catalogue, EventType, V2Type
from espf.events.model import Event

Renderer = Callable[[Event], str]
"""Makes the body of one event. Raises PayloadError for an event that lacks what the body needs."""

_ENTITY_KEYS = {
    "account": "i_account",
    "customer": "i_customer",
    "invoice": "i_invoice",
    "sim": "i_sim_card",
}
"""Entities whose integer key is `Event.entity_id` → its variable."""


def v1_renderer(name: str, *, with_unique_id: bool = True) -> Renderer:
    """Return the renderer of version 1 bodies sent under `name` (a type or one of its aliases).

    Order of the variables: `i_env`, `i_event` (if `with_unique_id`), `event_time`, then the type's
    own as capture wrote them.
    """
    start = f'{{"event_type":{_json_text(name)},"variables":{{"i_env":'

    def with_id(event: Event) -> str:
        own = event.variables
        rest = "}}" if own == "{}" else f",{own[1:]}}}"
        ids = f'{event.i_env},"i_event":{event.i_event}'
        return f'{start}{ids},"event_time":"{event.event_time}"{rest}'

    def without_id(event: Event) -> str:
        own = event.variables
        rest = "}}" if own == "{}" else f",{own[1:]}}}"
        return f'{start}{event.i_env},"event_time":"{event.event_time}"{rest}'

    return with_id if with_unique_id else without_id


def v2_renderer(v2: V2Type, of: EventType, *, with_unique_id: bool = True) -> Renderer:
    """Return the renderer of version 2 bodies of type `v2` for events of the v1 type `of`.

    The variables are those of the catalogue's v2 table, in its order; ids become JSON numbers even
    where the event has them as text.
    """
    if v2.optional:
        return _sim_renderer(v2, of, with_unique_id=with_unique_id)
    own = [name for name in v2.variables if name != "i_event"]
    if len(own) == 1 and own[0] == _ENTITY_KEYS.get(of.entity):
        return _key_renderer(v2.name, own[0], with_unique_id=with_unique_id)
    return _parsing_renderer(v2.name, tuple(own), with_unique_id=with_unique_id)


def own_variables(event: Event) -> dict[str, Any]:
    """Parse the event's own variables.

    Raises PayloadError if they are not a JSON object: the event was not written by capture.
    """
    try:
        variables = orjson.loads(event.variables)
    except orjson.JSONDecodeError:
        variables = None
    if not isinstance(variables, dict):
        raise PayloadError(
            f"Event {event.i_event} ({event.event_type}): its variables are not a JSON object; "
            "it was not written by capture. Skip it with `espf events skip`."
        )
    return variables


def account_in(event: Event) -> int | None:
    """The account that the event concerns. Raises PayloadError for broken variables."""
    if event.entity == "account":
        return event.entity_id
    found = own_variables(event).get("i_account")
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def card_taken_in(event: Event) -> int | None:
    """The card that the event takes from its account. Raises PayloadError for broken variables."""
    if '"prev_i_sim_card"' not in event.variables:
        return None
    found = own_variables(event).get("prev_i_sim_card")
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def holds_account(event: Event) -> bool:
    """Whether the event's variables name an account, as a type with `v2_account` needs to know."""
    return '"i_account"' in event.variables and own_variables(event).get("i_account") is not None


def _key_renderer(name: str, key: str, *, with_unique_id: bool) -> Renderer:
    """Subscriber of an account event, Customer of a customer event: the entity's key is enough."""
    start = f'{{"event_type":{_json_text(name)},"variables":{{"{key}":'
    if with_unique_id:
        return lambda event: f'{start}{event.entity_id},"i_event":{event.i_event}}}}}'
    return lambda event: f"{start}{event.entity_id}}}}}"


def _parsing_renderer(name: str, own: tuple[str, ...], *, with_unique_id: bool) -> Renderer:
    """Invoice, DID, and whatever is about another entity than the event's own."""
    start = f'{{"event_type":{_json_text(name)},"variables":{{'

    def render(event: Event) -> str:
        variables = own_variables(event)
        members = [_member(event, key, variables.get(key)) for key in own]
        if with_unique_id:
            members.append(f'"i_event":{event.i_event}')
        return f"{start}{','.join(members)}}}}}"

    return render


def _sim_renderer(v2: V2Type, of: EventType, *, with_unique_id: bool) -> Renderer:
    """SIM: `i_env`, `i_event`, then what is there of i_account, event_time and the statuses."""
    start = f'{{"event_type":{_json_text(v2.name)},"variables":{{"i_env":'
    statuses = [
        name for name in v2.optional if name.endswith("_status") and name in of.own_variables
    ]

    def of_account(event: Event) -> str:
        i_event = f'"i_event":{event.i_event},' if with_unique_id else ""
        account = f'"i_account":{event.entity_id}'
        return f'{start}{event.i_env},{i_event}{account},"event_time":"{event.event_time}"}}}}'

    def of_card(event: Event) -> str:
        variables = own_variables(event)
        members = [f"{start}{event.i_env}"]
        if with_unique_id:
            members.append(f'"i_event":{event.i_event}')
        members += _present(event, variables, ["i_account"])
        members.append(f'"event_time":"{event.event_time}"')
        members += _present(event, variables, statuses)
        return f"{','.join(members)}}}}}"

    return of_account if of.entity == "account" else of_card


def _present(event: Event, variables: dict[str, Any], names: list[str]) -> list[str]:
    found = [(name, variables.get(name)) for name in names]
    return [_member(event, name, value) for name, value in found if value is not None]


def _member(event: Event, name: str, value: Any) -> str:
    """Return `"name":value` with the value in the variable's type. Raises PayloadError."""
    try:
        match Catalogue.load().variable_type(name), value:
            case "int", int() | str() if not isinstance(value, bool):
                return f'"{name}":{int(value)}'
            case "string", str() | int() if not isinstance(value, bool):
                return f'"{name}":{_json_text(str(value))}'
    except ValueError:
        pass
    raise PayloadError(
        f"Event {event.i_event} ({event.event_type}) has no usable {name}, which its version 2 "
        "body needs; use EventSender.APIVersion 1 or skip the event."
    )


def _json_text(text: str) -> str:
    return orjson.dumps(text).decode()
