"""Checks of the handlers: options, subscriptions, breaker, backlog, and whether anyone is there."""

import asyncio
import shlex
import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from espf.cli.diagnosis.finding import Finding, ok, warn, wrong
from espf.cli.output import when
from espf.clock import SystemClock
from espf.config import Config
from espf.delivery.address import Address, Network, resolve
from espf.delivery.errors import AddressRefused
from espf.errors import ConfigError, HandlerError, StorageError
from espf.eventlog.model import HandlerRow
from espf.eventlog.operations import HandlerHealth
from espf.handlers.port import always
from espf.handlers.settings import HandlerSettings
from espf.handlers.types import handler_type
from espf.starting import handler_starter, open_current

CONNECT_S = 2.0
OLD_US = 3_600_000_000


def check_handlers(
    config: Config, health: list[HandlerHealth], groups: frozenset[str], now_us: int
) -> Iterator[Finding]:
    """Everything about each handler; receivers are called side by side.

    `groups`: names of the service groups that there are.
    """
    if not health:
        yield warn("handlers", "There is no handler.", "Make one: `espf apply handlers.toml`.")
    elif not any(one.handler.enabled and one.handler.event_types for one in health):
        yield warn(
            "handlers",
            "No enabled handler is subscribed to anything: changes raise no events.",
            "Enable one (`espf handlers enable NAME`) or subscribe it (`espf apply`).",
        )
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda one: list(_check(config, one, groups, now_us)), health):
            yield from found


def _check(
    config: Config, one: HandlerHealth, groups: frozenset[str], now_us: int
) -> Iterator[Finding]:
    row, name = one.handler, f"handler {one.handler.name}"
    if not row.enabled:
        yield warn(name, "It is disabled.", f"`espf handlers enable {row.name}` enables it.")
        return
    try:
        settings = asyncio.run(_start(config, row))
    except (ConfigError, HandlerError, StorageError) as error:
        yield wrong(name, str(error), "Mend the file and run `espf apply` again.")
    else:
        yield from _of_settings(name, row.type, settings)
        if settings.status_group and settings.status_group not in groups:
            group = settings.status_group
            yield warn(
                name,
                f"There is no service group {group}: its results set no status.",
                f"`espf groups create {shlex.quote(group)}`, or correct ServiceGroup.",
            )
    if not row.event_types:
        yield wrong(name, "It is enabled and subscribed to nothing.", "Subscribe it: `espf apply`.")
    yield from _of_state(name, one, now_us)


async def _start(config: Config, row: HandlerRow) -> HandlerSettings:
    """Make the handler as the engine would: its files must be there and usable."""
    clock = SystemClock()
    current = open_current(config, clock)
    try:
        handler, settings = handler_starter(config, clock, current, claim=False)(row, always)
        await handler.close()
    finally:
        await current.close()
    return settings


def _of_settings(name: str, type_name: str, settings: HandlerSettings) -> Iterator[Finding]:
    advice: Callable[[HandlerSettings], list[str]] = getattr(
        handler_type(type_name), "warnings", lambda _: []
    )
    for text in advice(settings):
        yield warn(name, text)
    url = getattr(settings, "url", None)
    if url is not None:
        yield _reach(name, url.host, url.port, getattr(settings, "allowed_networks", ()))


def _reach(name: str, host: str, port: int, allowed: Sequence[Network]) -> Finding:
    """Connect as the engine would: to an address that it refuses, no connection is made."""
    try:
        _connect(asyncio.run(resolve(host, port, allowed)), port)
        return ok(name, f"Its receiver {host} port {port} takes connections.")
    except AddressRefused as error:
        mend = "Correct the address or EventSender.AllowedNetworks. Events wait meanwhile."
        return wrong(name, f"{error}.", mend)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return wrong(
            name,
            f"Its receiver {host} port {port} takes no connection: {reason}.",
            "Start the receiver, or correct the address in its options. Events wait meanwhile.",
        )


def _connect(addresses: list[Address], port: int) -> None:
    first, *others = addresses
    try:
        socket.create_connection((str(first), port), CONNECT_S).close()
    except OSError:
        if not others:
            raise
        _connect(others, port)


def _of_state(name: str, one: HandlerHealth, now_us: int) -> Iterator[Finding]:
    if one.breaker == "open":
        yield wrong(
            name,
            f"Its breaker is open since {when(one.breaker_since_us)}: {one.breaker_reason}.",
            "It closes by itself when the receiver answers again.",
        )
    if one.handler.paused:
        yield warn(name, "It is paused.", f"`espf handlers resume {one.handler.name}`.")
    if one.oldest_us is None:
        yield ok(name, "Nothing waits.")
        return
    message = f"{one.backlog} events wait, the oldest since {when(one.oldest_us)} (UTC)."
    if now_us - one.oldest_us > OLD_US:
        yield warn(name, message, f"Last failure: {one.last_reason or 'none'}.")
    else:
        yield ok(name, message)
