"""EventSender at work: one POST for each event, judged by the answer's code (domain, 2)."""

from collections.abc import Mapping
from typing import TypedDict, Unpack

from espf import __version__
from espf.clock import Clock
from espf.delivery.answers import AnswerRules
from espf.delivery.errors import AnswerTimeout, ConnectionLost, ConnectRefused, DeliveryError
from espf.delivery.http import ClientOptions, HttpClient, Target, TlsOptions
from espf.delivery.masking import Mask
from espf.delivery.outbox import LATE_S
from espf.delivery.signing import Authenticator, date_header
from espf.errors import ConfigError, HandlerError, PayloadError, StorageError
from espf.events.catalogue import Catalogue
from espf.events.model import Event
from espf.handlers.event_sender.advice import warnings
from espf.handlers.event_sender.routes import Router
from espf.handlers.event_sender.settings import EventSenderSettings
from espf.handlers.event_sender.signer import answer_rules, authenticator
from espf.handlers.event_sender.subscriptions import read_subscriptions, subscribable
from espf.handlers.event_sender.writing import BodyWriter, body_writer
from espf.handlers.port import (
    Attempt,
    HandlerContext,
    Outcome,
    Rejected,
    RetryLater,
    Skipped,
    Unknown,
)
from espf.handlers.settings import HandlerSettings

STATIC_LINES = f"Content-Type: application/json\r\nUser-Agent: espf/{__version__}\r\n".encode()
"""Header lines that never change. Content-Type has no charset parameter (domain, 2.3)."""

CLOSED_TYPES = frozenset(
    name
    for name, of in Catalogue.load().types.items()
    if not {"name", "prev_name", "curr_name"} & set(of.own_variables)
)
"""Types whose bodies hold ids, numbers, dates and statuses only: masking those, at 5 us each, would
find nothing. A name is free text, into which anything may have been typed."""


class SenderParts(TypedDict):
    """What a sender is made of."""

    router: Router
    client: HttpClient
    authenticator: Authenticator
    rules: AnswerRules
    path: str
    """The request's, with its query."""
    timeout_s: float
    """RequestTimeout."""
    clock: Clock
    mask: Mask


class EventSender:
    """A running EventSender. Everything that does not depend on the event is made beforehand."""

    def __init__(self, **parts: Unpack[SenderParts]) -> None:
        self._router = parts["router"]
        self._client = parts["client"]
        self._authenticator = parts["authenticator"]
        self._rules = parts["rules"]
        self._path = parts["path"]
        self._timeout_s = parts["timeout_s"]
        self._clock = parts["clock"]
        self._mask = parts["mask"]
        self._date = ""
        self._head = b""

    def screen(self, event: Event) -> Skipped | None:
        """Say why nothing is sent for this event, or None to have it delivered."""
        try:
            way = self._router.choose(event)
        except PayloadError:
            return None  # `deliver` rejects it, with the reason
        return way if isinstance(way, Skipped) else None

    async def deliver(self, event: Event, attempt: Attempt) -> Outcome | Skipped:
        """POST the event and judge the answer. Each attempt has its own Date (domain, 2.3)."""
        try:
            text = self._text(event)
        except PayloadError as error:
            return Rejected("", str(error))
        body = text.encode()
        if event.event_type not in CLOSED_TYPES:
            text = self._mask.text(text)
        head = self._head_for(body)
        try:
            response = await self._client.post(head, body, self._timeout_s, attempt.iteration)
        except DeliveryError as error:
            return _failed(error, text)
        return self._rules.judge(response, text)

    def _head_for(self, body: bytes) -> bytes:
        date = date_header(self._clock.now_us())
        if date != self._date:
            self._date = date
            self._head = f"Date: {date}\r\n".encode() + STATIC_LINES
        return self._head + self._authenticator.lines(date, self._path, body)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    def _text(self, event: Event) -> str:
        way = self._router.choose(event)
        if isinstance(way, Skipped):
            raise PayloadError(f"Event {event.i_event} is not to be sent: {way.reason}.")
        return way(event)


class EnrichedSender(EventSender):
    """One whose bodies take more than the event: an envelope, a template, the account as it is."""

    def __init__(self, writer: BodyWriter, **parts: Unpack[SenderParts]) -> None:
        super().__init__(**parts)
        self._writer = writer

    async def deliver(self, event: Event, attempt: Attempt) -> Outcome | Skipped:
        """Write the body and POST it; Skipped where the template gives nothing for the event."""
        began_s = self._clock.monotonic()
        try:
            written = await self._writer.write(self._text(event), event, attempt)
        except PayloadError as error:
            return Rejected("", str(error))
        except StorageError as error:
            return RetryLater("", f"the registry cannot be read: {error}")
        if isinstance(written, Skipped):
            return written
        body, text = written.text.encode(), self._mask.text(written.text)
        head = self._head_for(body) + written.lines
        late_s = self._clock.monotonic() - began_s
        if late_s > LATE_S:  # the registry was slow: it counts against the rate from now on
            attempt.iteration.held_up(late_s)
        try:
            response = await self._client.post(head, body, self._timeout_s, attempt.iteration)
        except DeliveryError as error:
            return _failed(error, text)
        return self._rules.judge(response, text)


def _failed(error: DeliveryError, request: str) -> Outcome:
    """What becomes of a request without a complete answer (domain, 2.5)."""
    if isinstance(error, AnswerTimeout | ConnectionLost) and error.sent:
        return Unknown(request, str(error))
    return RetryLater(request, str(error), refused=isinstance(error, ConnectRefused))


class EventSenderType:
    """The handler type EventSender: its options, and what it can be subscribed to."""

    name = "EventSender"
    settings: type[HandlerSettings] = EventSenderSettings

    def event_types(self, settings: HandlerSettings) -> Mapping[str, str]:
        """Return name → description; under APIVersion 2 its own names as well."""
        return subscribable(_own(settings).api_version)

    def resolve(self, settings: HandlerSettings, names: list[str]) -> frozenset[str]:
        """Return the canonical v1 types that the names, groups and patterns stand for.

        Raises ConfigError that lists each that stands for nothing, with the nearest right one.
        """
        wanted = read_subscriptions(names, _own(settings).api_version)
        if wanted.problems:
            raise ConfigError("Subscriptions that no event type answers to:", wanted.problems)
        return frozenset(wanted.names)

    def warnings(self, settings: HandlerSettings) -> list[str]:
        """Return a sentence for each option that is allowed and probably not meant."""
        return warnings(_own(settings))

    def start(
        self, settings: HandlerSettings, subscriptions: frozenset[str], context: HandlerContext
    ) -> EventSender:
        """Make a running EventSender.

        `subscriptions` are the names as the operator wrote them: an older name among them is the
        one sent, and a group decides between SIM and Subscriber. Raises HandlerError if a
        certificate file cannot be used.
        """
        own = _own(settings)
        target = Target(*own.url)
        writer = body_writer(own, context)
        parts = SenderParts(
            router=_router(own, subscriptions),
            client=_client(own, target, context),
            authenticator=authenticator(own),
            rules=answer_rules(own, context.clock),
            path=target.path,
            timeout_s=own.request_timeout_s,
            clock=context.clock,
            mask=Mask(own.secrets),
        )
        return EventSender(**parts) if writer is None else EnrichedSender(writer, **parts)


def _own(settings: HandlerSettings) -> EventSenderSettings:
    if not isinstance(settings, EventSenderSettings):
        raise HandlerError(f"EventSender was given {type(settings).__name__}, which is not its own")
    return settings


def _router(settings: EventSenderSettings, subscriptions: frozenset[str]) -> Router:
    return Router(
        settings.api_version,
        read_subscriptions(subscriptions, settings.api_version).names,
        settings.allowed_types,
        with_unique_id=settings.with_unique_id,
    )


def _client(settings: EventSenderSettings, target: Target, context: HandlerContext) -> HttpClient:
    options = ClientOptions(
        tls=TlsOptions(
            settings.tls_ca_file or None,
            settings.tls_cert_file or None,
            settings.tls_key_file or None,
            settings.tls_verify,
        ),
        allowed_networks=settings.allowed_networks,
        local_address=context.service_ip,
        max_connections=settings.in_flight,
    )
    try:
        return HttpClient(target, options, context.clock, context.may_send)
    except ConfigError as error:
        raise HandlerError(str(error)) from error
