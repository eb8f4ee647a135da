"""A body template, ready for use."""

from collections.abc import Mapping
from typing import Any

import orjson
from jinja2 import TemplateError, TemplateSyntaxError, UndefinedError
from jinja2.nodes import Name

from espf.errors import PayloadError
from espf.handlers.event_sender.template.language import Refused, bound, check, environment
from espf.handlers.event_sender.template.position import normal, place

_NAME = "EventSender.BodyTemplate"
MAX_BODY_CHARS = 64 * 1024
"""Of a body; what would be longer is refused as soon as it is."""


class NotThere(PayloadError):  # noqa: N818 - the field's word
    """The template names what this event does not have."""

    def __init__(self, told: str) -> None:
        super().__init__(
            f"{_NAME} names what this event does not have: {told}. `|default(…)` says what to put "
            "in its place."
        )
        self.told = told


class BodyTemplate:
    """Makes bodies. Raises ValueError for a text that is no template, with line and column."""

    def __init__(self, text: str) -> None:
        text = normal(text)
        made = environment()
        try:
            tree = made.parse(text)
            check(tree)
            self.names = {name.name for name in tree.find_all(Name) if name.ctx == "load"}
            """What it names of the event; what it does not need not be looked up."""
            bound(tree)
            self._template = made.from_string(tree)
        except (TemplateSyntaxError, Refused) as error:
            offset = error.offset if isinstance(error, Refused) else error.lineno
            message = str(error) if isinstance(error, Refused) else error.message
            told = (message or "").rstrip(".")
            raise ValueError(f"is wrong in {place(text, offset)}: {told}.") from None
        except (RecursionError, SyntaxError, MemoryError):  # of Jinja2, and of Python's compiler
            raise ValueError("is nested too deeply; make it simpler.") from None

    def render(self, values: Mapping[str, Any]) -> str | None:
        """The body, None if it comes out empty: then nothing is to be sent.

        Raises PayloadError for what is not there, is too long, or comes out as no JSON.
        """
        pieces: list[str] = []
        length = 0
        try:
            for piece in self._template.generate(values):
                pieces.append(piece)
                length += len(piece)
                if length > MAX_BODY_CHARS:
                    break
        except UndefinedError as error:
            raise NotThere(str(error).rstrip(".")) from None
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
            told = str(error).rstrip(".")
            raise PayloadError(f"{_NAME} does not fit this event: {told}.") from None
        if length > MAX_BODY_CHARS:
            raise PayloadError(f"{_NAME} gives more than {MAX_BODY_CHARS} characters.")
        text = "".join(pieces).strip()
        if text:
            _check_json(text)
        return text or None


def _check_json(text: str) -> None:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise PayloadError(
            f"{_NAME} gives no JSON: {error.msg} in {place(text, error.pos)} of "
            "what it gives. Values stand as JSON, text with its quotes: write none around them."
        ) from None
