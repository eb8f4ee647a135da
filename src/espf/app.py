"""Where the parts are joined: the configuration opens databases and runs engine and web side.

Imports are inside the functions where they are heavy: no engine process loads Django, and a short
command starts quickly.
"""

import asyncio
import gc
import os
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from espf.clock import Clock, SystemClock
from espf.config import Config
from espf.enginelock import engine_lock
from espf.eventlog.operations import Operations
from espf.eventlog.port import EventLog

if TYPE_CHECKING:
    from espf.engine.instance import Instance
    from espf.eventlog.housekeeping.model import Retention
    from espf.eventlog.model import InstanceRow
    from espf.eventlog.vitals import OpenTransaction


def open_log(config: Config, clock: Clock | None = None, token: str = "") -> EventLog:
    """Open the event log for an engine, whose token it is. Raises StorageError."""
    from espf.eventlog import engines

    return engines.open_log(config.database, clock or SystemClock(), token)


@contextmanager
def open_operations(config: Config, clock: Clock | None = None) -> Iterator[Operations]:
    """Open the event log for an operator. Raises StorageError."""
    from espf.eventlog import engines

    with engines.open_operations(config.database, clock or SystemClock()) as operations:
        yield operations


def open_django(config: Config) -> None:
    """Bring Django up on the database, for registry, users and console."""
    os.environ.update(config.environment)
    from espf.site.start import start

    start(config.database)


def myself(config: Config, clock: Clock) -> "InstanceRow":
    """This process as one of the instances; its token is its own, whatever its name."""
    from espf import __version__
    from espf.eventlog.model import InstanceRow

    now_us = clock.now_us()
    return InstanceRow(
        token=f"{config.instance_name}/{secrets.token_hex(4)}",
        name=config.instance_name,
        host=socket.gethostname(),
        pid=os.getpid(),
        service_ip=None if config.service_ip is None else str(config.service_ip),
        version=__version__,
        started_us=now_us,
        beat_us=now_us,
        unable="[]",
        metrics="{}",
    )


def retention_of(config: Config) -> "Retention":
    """How long things are kept, as configured."""
    from espf.eventlog.housekeeping.model import Retention

    return Retention(
        config.retention_finished_days,
        config.retention_failed_days,
        config.retention_skipped_days,
        config.retention_max_backlog_days,
    )


def housekeeping(config: Config, clock: Clock) -> Callable[[], bool]:
    """What an engine calls now and then, in a thread: a portion of housekeeping."""
    from espf.eventlog.engines import open_session
    from espf.eventlog.housekeeping.keeping import keep_house

    retention = retention_of(config)

    def portion() -> bool:
        session = open_session(config.database)
        try:
            report = keep_house(session, retention, clock.now_us())
        finally:
            session.close()
        return report is not None and report.more

    return portion


async def run_instance(
    config: Config,
    stop: asyncio.Event,
    started: Callable[[], None] | None = None,
    *,
    metrics: socket.socket | None = None,
) -> None:
    """Deliver until `stop` is set; calls `started` when the log is open.

    On the socket `metrics`, which is listening, it answers how it is doing.

    Raises StorageError if another engine works on this database, or the log cannot be opened;
    ConfigError if the database is in use with a key that is not here.
    """
    import structlog

    from espf.engine.instance import Instance
    from espf.starting import check_key, handler_starter, open_current

    structlog.contextvars.bind_contextvars(instance=config.instance_name)
    clock = SystemClock()
    check_key(config)
    with engine_lock(config.database):
        me = myself(config, clock)
        async with AsyncExitStack() as opened:
            log = open_log(config, clock, me.token)
            opened.push_async_callback(log.close)
            current = open_current(config, clock)
            opened.push_async_callback(current.close)
            engine = Instance(
                me,
                log,
                clock,
                handler_starter(config, clock, current),
                grace_s=config.grace_period_s,
                lease_s=config.lease_s,
                keep_house=housekeeping(config, clock),
            )
            _tame_the_collector()
            if started is not None:
                started()
            beside = [] if log.exclusive else [_watch(config, engine, clock)]
            async with _answering(config, engine, clock, metrics), asyncio.TaskGroup() as group:
                others = [group.create_task(one) for one in beside]
                await _run_loudly(engine, stop)
                for task in others:
                    task.cancel()


async def _watch(config: Config, engine: "Instance", clock: Clock) -> None:
    """Look out for transactions that hold all readers back."""
    from espf.engine.watch import TransactionWatch
    from espf.metrics.reading import Ages

    ages = Ages(clock)

    def oldest() -> "OpenTransaction | None":
        with open_operations(config, clock) as operations:
            return ages.aged(operations.oldest_writer())

    await TransactionWatch(oldest, lambda: engine.is_first).run()


@asynccontextmanager
async def _answering(
    config: Config, engine: "Instance", clock: Clock, listener: socket.socket | None
) -> AsyncIterator[None]:
    """Answer /metrics, /healthz and /readyz on the socket, if there is one."""
    if listener is None:
        yield
        return
    from espf.metrics.endpoint import Endpoint, Heart
    from espf.metrics.reading import VitalsReader
    from espf.metrics.server import Server

    heart = Heart(clock)
    reader = VitalsReader(lambda: open_operations(config, clock), clock, config.lease_s)
    endpoint = Endpoint(
        config.instance_name,
        engine.meters.counts,
        heart,
        reader,
        lambda: engine.has_lease,
        config.metrics_token,
    )
    async with asyncio.TaskGroup() as group:
        beating = group.create_task(heart.run())
        with Server(listener, endpoint.answer):
            yield
        beating.cancel()


async def _run_loudly(engine: "Instance", stop: asyncio.Event) -> None:
    """A bug ends the process, and its traceback is in the log, where it can still be found."""
    try:
        await engine.run(stop)
    except Exception:
        import structlog

        structlog.get_logger("espf.engine").critical("instance.failed", exc_info=True)
        raise


def _tame_the_collector() -> None:
    """Collect rarely: events are freed by counting, and the default costs 2.5 us for each."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 10, 100)


def run_until_signalled(main: Callable[[asyncio.Event], Coroutine[object, object, None]]) -> None:
    """Run `main` on uvloop; SIGTERM or SIGINT sets its event, a second one ends it at once."""
    import uvloop

    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, _asked_to_stop, stop)
        await main(stop)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


def _asked_to_stop(stop: asyncio.Event) -> None:
    if stop.is_set():
        os._exit(1)  # a crash may repeat an attempt and loses none: no need to be polite twice
    stop.set()


def migrate_database(config: Config) -> list[str]:
    """Make the database or bring it up to date; returns what was done."""
    os.environ.update(config.environment)
    from espf.schema.migrate import migrate

    return migrate(str(config.database))


def check_database(config: Config) -> None:
    """Raise StorageError unless the database is there and of this program's version."""
    from espf.eventlog.engines import open_session

    open_session(config.database).close()


def run_web(
    config: Config,
    listener: socket.socket,
    ready: Callable[[], None],
    *,
    with_parent: bool = False,
) -> None:
    """Serve the web side on a listening socket until told to stop."""
    from espf.starting import open_box

    open_box(config)  # logins are signed with the installation's key as well
    open_django(config)
    from django.conf import settings
    from django.core.asgi import get_asgi_application

    from espf.site.server import run_server

    if config.host in ("0.0.0.0", "::") and not config.allowed_hosts:  # noqa: S104 - compared only
        import structlog

        structlog.get_logger("espf.web").warning(
            "web.started_unnamed", advice="ESPF_ALLOWED_HOSTS must name this machine as browsers do"
        )
    hosts = [name.strip() for name in config.allowed_hosts.split(",") if name.strip()]
    settings.ALLOWED_HOSTS = [*settings.ALLOWED_HOSTS, config.host, *hosts]
    settings.METRICS_TOKEN = config.metrics_token
    settings.LEASE_S = config.lease_s
    run_server(get_asgi_application(), listener, ready, with_parent=with_parent)
