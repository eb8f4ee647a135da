"""EventSenders whose bodies hold more than the event, from a registry.

Import it as `enriched_rig`.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from espf.handlers.options import read_options
from espf.handlers.port import Handler, HandlerContext
from espf.handlers.types import handler_type
from espf.subscribers.port import SubscriberSource

NSPS: dict[str, object] = {
    "EventSender.BodyStyle": "nsps",
    "EventSender.SuccessCodes": "2xx",
    "EventSender.AuthMethod": "Custom",
    "EventSender.CustomAuth.Type": "Bearer",
    "EventSender.CustomAuth.Credentials": "a-token",
}
START = Callable[..., Handler]


@asynccontextmanager
async def senders(receiver: Any, clock: Any, source: SubscriberSource) -> AsyncIterator[START]:
    """Start EventSenders with these options and others that see the registry."""
    receiver.answer = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
    started: list[Handler] = []

    def starting(
        *, name: str = "nsps", subscribers: SubscriberSource | None = source, **options: object
    ) -> Handler:
        kind = handler_type("EventSender")
        given = NSPS | {
            "EventSender.URL": f"http://127.0.0.1:{receiver.port}/",
            "EventSender.APIVersion": 1,
            **{f"EventSender.{key}": value for key, value in options.items()},
        }
        settings = read_options(kind.settings, given, kind.name)
        context = HandlerContext(name, clock, subscribers=subscribers)
        started.append(kind.start(settings, frozenset(["all"]), context))
        return started[-1]

    yield starting
    for handler in started:
        await handler.close()
