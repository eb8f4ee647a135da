"""Starts handlers: where their options, the installation's key and the registry meet.

Imports are inside the functions where they are heavy: see `espf.app`.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import cache, partial
from typing import TYPE_CHECKING

from espf.clock import Clock, SystemClock
from espf.config import Config
from espf.errors import ConfigError, StorageError
from espf.eventlog.model import HandlerRow

if TYPE_CHECKING:
    from espf.engine.instance import StartHandler
    from espf.handlers.contract.handler import Provisioning
    from espf.handlers.port import Handler
    from espf.handlers.settings import HandlerSettings
    from espf.secrets import SecretBox
    from espf.subscribers.engines import Current


def open_box(config: Config, *, claim: bool = True) -> "SecretBox":
    """What encrypts, with the installation's key.

    Unless `claim` is false, the first key to be used becomes the database's. Raises ConfigError for
    another key than the database's, ConfigError or StorageError if there is none to be had.
    """
    from espf import keyring
    from espf.eventlog.engines import open_register

    with open_register(config.database) as register:
        return keyring.open_box(config.database, register, config.key_environment, claim=claim)


def check_key(config: Config) -> None:
    """Raise ConfigError if the database is in use with a key that is not here."""
    from espf import keyring
    from espf.eventlog.engines import open_register

    with open_register(config.database) as register:
        keyring.check_key(config.database, register, config.key_environment)


def open_current(config: Config, clock: Clock) -> "Current":
    """Open the registry for handlers. The key is read at the first secret. Raises StorageError."""
    from espf.dispatch.fanouts import SessionFanouts
    from espf.eventlog.engines import open_session
    from espf.secrets import derived_key, load_key
    from espf.subscribers.engines import Current, open_steps, open_subscribers

    box = cache(lambda: open_box(config, claim=False))
    key = cache(lambda: load_key(config.database, config.key_environment))

    def decrypt(ciphertext: str) -> str:
        with _key_problems():
            return box().decrypt(ciphertext)

    def digest_key() -> bytes:
        with _key_problems():
            return derived_key(key(), "digests of provisioning steps").encode()

    subscribers = open_subscribers(config.database, clock, decrypt)
    fanouts = SessionFanouts(partial(open_session, config.database), clock)
    return Current(subscribers, open_steps(config.database), cache(digest_key), fanouts)


@contextmanager
def _key_problems() -> Iterator[None]:
    try:
        yield
    except ConfigError as error:
        raise StorageError(f"Stored secrets cannot be read: {error}") from error


def handler_starter(
    config: Config, clock: Clock, current: "Current", *, claim: bool = True
) -> "StartHandler":
    """What makes running handlers of this installation's rows; `claim` as in `open_box`."""
    from espf.handlers.options import read_options
    from espf.handlers.port import HandlerContext
    from espf.handlers.sealing import unseal
    from espf.handlers.types import handler_type

    service_ip = None if config.service_ip is None else str(config.service_ip)
    box = cache(lambda: open_box(config, claim=claim))

    def start(row: HandlerRow, may_send: Callable[[], bool]) -> "tuple[Handler, HandlerSettings]":
        kind = handler_type(row.type)
        try:
            options = unseal(row.options, box)
        except StorageError as error:  # the engine retries those; this one needs the operator
            raise ConfigError(f"Handler {row.name}: {error}") from error
        settings = read_options(kind.settings, options, row.type)
        context = HandlerContext(
            row.name,
            clock,
            service_ip,
            may_send,
            current.subscribers,
            current.memory(row.i_handler),
            current.fanouts,
        )
        return kind.start(settings, frozenset(row.subscriptions), context), settings

    return start


@asynccontextmanager
async def open_provisioning(config: Config, row: HandlerRow) -> "AsyncIterator[Provisioning]":
    """One handler of state outside of the engine, for commands.

    Raises ConfigError for a handler that carries no state, HandlerError, StorageError.
    """
    from espf.handlers.contract.handler import ContractHandler, Provisioning
    from espf.handlers.port import always

    clock = SystemClock()
    current = open_current(config, clock)
    async with AsyncExitStack() as opened:
        opened.push_async_callback(current.close)
        handler, settings = handler_starter(config, clock, current)(row, always)
        opened.push_async_callback(handler.close)
        if not isinstance(handler, ContractHandler):
            raise ConfigError(
                f"{row.name} is of type {row.type}, which sends events and keeps no state of "
                "subscribers: there is nothing to compare. `espf events retry` sends events again."
            )
        yield Provisioning(row, settings, handler.provisioner, current, clock)
