"""The parameters of `set_subscriber`: a JSON object that the operator may edit, with `$fields`.

The present list of parameters is not public (domain, 6.2), so it is a template. A text that is one
field and nothing else takes the field's own type; a member whose text comes out empty is left out.
"""

import re
from collections.abc import Mapping
from typing import Any

import orjson

from espf.events.catalogue import did_you_mean, nearest, shown

DEFAULT_TEMPLATE = (
    '{"subscriber_id":"$i_account","msisdn":"$msisdn","active":1,"identities":[{"imsi":"$imsi"}],'
    '"cs_profile":"$cs_profile","ps_profile":"$ps_profile","eps_profile":"$eps_profile",'
    '"ims_profile":"$ims_profile"}'
)
FIELDS: Mapping[str, str] = {
    "i_env": "environment, as text",
    "i_account": "key of the account, as text; stays the same when number or card change",
    "i_customer": "key of the customer, as text",
    "i_product": "key of the main product, as text",
    "id": "the account's id as the registry has it",
    "msisdn": "digits of the id before an @",
    "imsi": "IMSI of the card",
    "iccid": "ICCID of the card",
    "product": "name of the main product",
    "active": "1, or 0 while there is any reason to bar service; a number",
    "sim_profile": "YateHSS.SIMProfile",
    "cs_profile": "cs_profile in group lte.wtl of the access policy, or else YateHSS.CSProfile",
    "ps_profile": "ps_profile in group lte.wtl of the access policy, or else YateHSS.PSProfile",
    "eps_profile": "eps_profile in group lte.wtl of the access policy, or else YateHSS.EPSProfile",
    "ims_profile": "ims_profile in group lte.wtl of the access policy, or else YateHSS.IMSProfile",
}
"""What may stand behind a `$` → what it is."""
_FIELD = re.compile(r"\$(?:(?P<name>[A-Za-z_]\w*)|\{(?P<braced>[A-Za-z_]\w*)\}|(?P<dollar>\$)|)")

Value = str | int
_LEFT_OUT = object()


def parse_template(text: str) -> dict[str, Any]:
    """Read a template. Raises ValueError that says what is wrong, in a sentence's end."""
    try:
        parsed = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"must be a JSON object; it is no JSON ({error}).") from None
    if not isinstance(parsed, dict):
        raise ValueError('must be a JSON object, such as {"msisdn":"$msisdn"}.')  # noqa: TRY004 - pydantic takes ValueError
    for found in _fields_in(parsed):
        if found not in FIELDS:
            known = ", ".join(f"${name}" for name in FIELDS)
            raise ValueError(
                f"has the unknown field ${shown(found)}{did_you_mean(nearest(found, FIELDS))} "
                f"There are {known}; write $$ for a dollar sign."
            )
    return parsed


def fill(template: Any, values: Mapping[str, Value]) -> Any:
    """The template with its fields replaced."""
    match template:
        case dict():
            filled = {key: fill(value, values) for key, value in template.items()}
            return {key: value for key, value in filled.items() if value is not _LEFT_OUT}
        case list():
            return [
                one for one in (fill(value, values) for value in template) if one is not _LEFT_OUT
            ]
        case str():
            return _text(template, values)
        case _:
            return template


def _text(text: str, values: Mapping[str, Value]) -> Any:
    alone = _FIELD.fullmatch(text)
    if alone and (name := alone["name"] or alone["braced"]):
        value = values[name]
        return _LEFT_OUT if value == "" else value
    return _FIELD.sub(lambda found: _one(found, values), text)


def _one(found: re.Match[str], values: Mapping[str, Value]) -> str:
    name = found["name"] or found["braced"]
    return str(values[name]) if name else "$"


def _fields_in(template: Any) -> list[str]:
    match template:
        case dict():
            return [name for value in template.values() for name in _fields_in(value)]
        case list():
            return [name for value in template for name in _fields_in(value)]
        case str():
            return [
                found["name"] or found["braced"] or ""
                for found in _FIELD.finditer(template)
                if not found["dollar"]
            ]
        case _:
            return []
