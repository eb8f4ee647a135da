"""Bodies that hold more than the event: the enriched envelope (domain, 5.2), or a template's.

What an application would call back for is read here: one account, customer or card, as it is now,
and only if the body shows it.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import NAMESPACE_URL, UUID, uuid5

import orjson

from espf.clock import Clock
from espf.errors import HandlerError
from espf.events.model import Event
from espf.events.payload import account_in, card_taken_in
from espf.handlers.event_sender.settings import EventSenderSettings
from espf.handlers.port import Attempt, HandlerContext, Skipped
from espf.subscribers.details import Parts, Whose
from espf.subscribers.together import DetailReader

if TYPE_CHECKING:
    from espf.handlers.event_sender.template.body import BodyTemplate

NOTHING = Skipped("EventSender.BodyTemplate gives nothing for it")
IN_PROGRESS = "in_progress"


class Written(NamedTuple):
    """A body, and the header lines that go with it."""

    text: str
    lines: bytes = b""


@dataclass(frozen=True, slots=True)
class BodyWriter:
    """Writes the bodies of one handler."""

    name: str
    clock: Clock
    reader: DetailReader | None
    """None: the body shows nothing of the registry."""
    template: "BodyTemplate | None"
    enveloped: bool

    async def write(self, text: str, event: Event, attempt: Attempt) -> Written | Skipped:
        """The body of one attempt; `text` is the event as it would be sent.

        Raises PayloadError, StorageError.
        """
        details = await self._details(event)
        if self.template is not None:
            made = self.template.render(self._values(text, event, details))
            return NOTHING if made is None else Written(made, self._lines(event, attempt))
        return Written(self._envelope(text, event, details), self._lines(event, attempt))

    async def _details(self, event: Event) -> Parts:
        if self.reader is None:
            return {}
        i_account = account_in(event)
        if i_account is not None:
            return await self.reader.of(Whose("account", i_account, card_taken_in(event)))
        if event.entity == "customer":
            return await self.reader.of(Whose("customer", event.entity_id))
        if event.entity == "sim":
            return await self.reader.of(Whose("sim", event.entity_id))
        return {}

    def _values(self, text: str, event: Event, details: Parts) -> dict[str, Any]:
        data = orjson.loads(text)
        return {
            **data,
            "data": data,
            "i_event": event.i_event,
            "event_id": str(self._id(event)),
            "event_time": event.event_time,
            "handler_id": self.name,
            "pb_data": details,
        }

    def _envelope(self, text: str, event: Event, details: Parts) -> str:
        now = datetime.fromtimestamp(self.clock.now_us() / 1_000_000, UTC)
        envelope = {
            "event_id": str(self._id(event)),
            "data": orjson.Fragment(text),
            "pb_data": details,
            "handler_id": self.name,
            "status": IN_PROGRESS,
            "created_at": f"{event.event_time.replace(' ', 'T')}+00:00",
            "updated_at": now.isoformat(),
        }
        return orjson.dumps(envelope).decode()

    def _lines(self, event: Event, attempt: Attempt) -> bytes:
        """A trace is an event with all its repeats, a request one of them."""
        if not self.enveloped:
            return b""
        event_id = self._id(event)
        request_id = uuid5(event_id, str(attempt.number))
        return f"x-request-id: {request_id}\r\nx-b3-traceid: {event_id.hex}\r\n".encode()

    def _id(self, event: Event) -> UUID:
        """The same for every repeat of an event by this handler, whichever instance sends it."""
        return uuid5(NAMESPACE_URL, f"espf:{self.name}:{event.i_event}:{event.event_time}")


def body_writer(settings: EventSenderSettings, context: HandlerContext) -> BodyWriter | None:
    """What writes the bodies, None where they are the event alone.

    Raises HandlerError if the registry is needed and not open.
    """
    enveloped = settings.body_style == "nsps"
    template = _template(settings.body_template)
    if template is None and not enveloped:
        return None
    reader = None
    if template is None or "pb_data" in template.names:
        if context.subscribers is None:
            raise HandlerError(f"{context.name} needs the registry, which is not open here.")
        reader = DetailReader(context.subscribers)
    return BodyWriter(context.name, context.clock, reader, template, enveloped)


def _template(text: str) -> "BodyTemplate | None":
    if not text.strip():
        return None
    from espf.handlers.event_sender.template.body import BodyTemplate  # noqa: PLC0415 - 40 ms

    try:
        return BodyTemplate(text)
    except ValueError as error:
        raise HandlerError(f"EventSender.BodyTemplate {error}") from error
