"""`espf serve`, and its two halves, `espf instance` and `espf web`."""

import asyncio
import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from espf import listening
from espf.cli.children import ESPF, child_environment
from espf.cli.output import say
from espf.listening import address

if TYPE_CHECKING:
    from espf.config import Config

Host = Annotated[str | None, typer.Option(help="Address to listen on; 127.0.0.1 unless told.")]
Port = Annotated[
    int | None, typer.Option(help="Port; 8080 unless told, 0 takes any free one.", min=0, max=65535)
]
Name = Annotated[
    str | None, typer.Option(help="Its name in the attempt log; the host's unless told.")
]
ServiceIp = Annotated[str | None, typer.Option(help="Source address of the requests.")]
Metrics = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT", help="Serve /metrics, /healthz and /readyz there; nowhere unless told."
    ),
]


def serve(*, host: Host = None, port: Port = None) -> None:
    """Run web side and engine: all in one.

    The first start makes the database and the user admin, with the password from
    ESPF_ADMIN_PASSWORD or a generated one that is printed once.
    """
    from espf.app import run_instance, run_until_signalled
    from espf.cli.webchild import WebChild
    from espf.enginelock import engine_lock
    from espf.logs import set_up_logs

    config = _configured(host=host, port=port)
    set_up_logs(config.log_level, config.log_format)
    with engine_lock(config.database):
        pass  # refuse now, before anything is migrated, if an engine runs
    with listen(config) as listener, metrics_listener(config) as metrics:
        _first_start(config)
        url, told = address(listener), _told(metrics)

        async def both(stop: asyncio.Event) -> None:
            child = WebChild(config, listener)
            try:
                async with asyncio.TaskGroup() as group:
                    web_side = group.create_task(child.run())
                    ready = group.create_task(_say_ready(child, url, config, told))
                    await run_instance(config, stop, metrics=metrics)
                    ready.cancel()
                    web_side.cancel()
            finally:
                child.end()

        _run(both, run_until_signalled)


async def _say_ready(child: Any, url: str, config: "Config", told: str) -> None:
    await child.ready.wait()
    say(f"ready: web side on {url}, engine on {config.database.shown}{told}")


def instance(
    *,
    name: Name = None,
    service_ip: ServiceIp = None,
    metrics: Metrics = None,
) -> None:
    """Run the engine alone."""
    from espf.app import run_instance, run_until_signalled
    from espf.logs import set_up_logs

    config = _configured(instance_name=name, service_ip=service_ip, metrics=metrics)
    set_up_logs(config.log_level, config.log_format)
    with metrics_listener(config) as listener:

        def started() -> None:
            told = _told(listener)
            say(f"ready: instance {config.instance_name} on {config.database.shown}{told}")

        _run(
            lambda stop: run_instance(config, stop, started, metrics=listener),
            run_until_signalled,
        )


def web(
    *,
    host: Host = None,
    port: Port = None,
    listener_fd: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Run the web side alone."""
    from espf.app import check_database, run_web
    from espf.logs import set_up_logs

    config = _configured(host=host, port=port)
    set_up_logs(config.log_level, config.log_format)
    check_database(config)
    if listener_fd is not None:  # of `espf serve`, whose standard output waits for this line
        with socket.socket(fileno=listener_fd) as listener:
            run_web(config, listener, lambda: say("ready"), with_parent=True)
        return
    with listen(config) as listener:
        url = address(listener)
        run_web(config, listener, lambda: say(f"ready: web side on {url}"))


def _configured(**given: object) -> "Config":
    from espf.config import load_config

    return load_config(given={name: value for name, value in given.items() if value is not None})


def _run(main: Any, runner: Any) -> None:
    """Run it; of a group of errors the first of ours is the one to tell."""
    from espf.errors import ProvisioningError

    try:
        runner(main)
    except BaseExceptionGroup as group:
        ours = group.subgroup(ProvisioningError)
        raise _first(ours or group) from group


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


def _first_start(config: "Config") -> None:
    """Migrate and make the first user, in a process that ends and takes Django with it."""
    done = subprocess.run(  # noqa: S603 - our own command
        [*ESPF, "first-start"],
        env=child_environment(config),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise typer.Exit(1)  # it has said why on standard error
    record = json.loads(done.stdout)
    if record["done"]:
        say(f"The database {config.database.shown} was brought up to date.")
    if record["password"]:
        say(f"The user {record['user']} was made. Password, shown only now: {record['password']}")
    elif record["user"]:
        say(f"The user {record['user']} was made with the password from ESPF_ADMIN_PASSWORD.")


def listen(config: "Config") -> socket.socket:
    """The web side's listening socket. Raises ConfigError if the address cannot be used."""
    advice = "Choose another with --host and --port (0 takes any free port)."
    return listening.listen(config.host, config.port, advice)


@contextmanager
def metrics_listener(config: "Config") -> Iterator[socket.socket | None]:
    """The socket of an instance's metrics, if it serves any. Raises ConfigError like `listen`."""
    if config.metrics_address is None:
        yield None
        return
    advice = "Choose another with --metrics HOST:PORT or ESPF_METRICS (port 0 takes any free one)."
    with listening.listen(*config.metrics_address, advice) as listener:
        yield listener


def _told(metrics: socket.socket | None) -> str:
    return "" if metrics is None else f", metrics on {address(metrics)}metrics"
