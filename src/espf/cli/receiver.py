"""`espf receiver`: a receiving application to try handlers against."""

from pathlib import Path
from typing import Annotated

import typer

from espf.errors import ConfigError, ProvisioningError
from espf.receiver.methods import AuthMethod, Profile

receiver_app = typer.Typer(add_completion=False)


@receiver_app.command("receiver")
def receiver(
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes any free one.")] = 5000,
    auth: Annotated[
        AuthMethod, typer.Option(case_sensitive=False, help="What a request must show.")
    ] = AuthMethod.NONE,
    auth_header: Annotated[str, typer.Option(help="Header it is shown in.")] = "Authorization",
    user: Annotated[str, typer.Option(help="Basic: user. Signature: key id.")] = "",
    key: Annotated[
        str,
        typer.Option(
            envvar="ESPF_RECEIVER_KEY",
            help="Basic: password. Custom: credentials. Signature: key. "
            "The variable keeps it out of the process list.",
        ),
    ] = "",
    auth_type: Annotated[str, typer.Option("--type", help="Custom: first word.")] = "",
    profile: Annotated[Profile, typer.Option(help="What a signature covers.")] = Profile.DATE_VALUE,
    record: Annotated[
        Path | None,
        typer.Option(help="Append each request to this file; event numbers go to FILE.seen."),
    ] = None,
    remember: Annotated[
        int, typer.Option(help="Event numbers kept in memory, without --record.")
    ] = 100_000,
    status: Annotated[int | None, typer.Option(help="Fail with this HTTP status.")] = None,
    drop: Annotated[bool, typer.Option("--drop", help="Close without an answer.")] = False,
    times: Annotated[int | None, typer.Option(help="Fail only the first N requests.")] = None,
    fail_rate: Annotated[
        float | None, typer.Option(help="Share of requests that fail, 0 to 1.")
    ] = None,
    delay: Annotated[float, typer.Option(help="Seconds before each answer.")] = 0,
) -> None:
    """Receive events, check them, and print each as a line of JSON.

    Repeats are told by i_event. With --status, --drop, --fail-rate and --delay it misbehaves, so
    that you can watch a handler cope.
    """
    from espf.receiver.options import receiver_options
    from espf.receiver.server import run

    try:
        options = receiver_options(
            host=host,
            port=port,
            auth=auth,
            auth_header=auth_header,
            user=user,
            key=key,
            auth_type=auth_type,
            profile=profile,
            record=record,
            remember=remember,
            status=status,
            drop=drop,
            times=times,
            fail_rate=fail_rate,
            delay_s=delay,
        )
        run(options)
    except ConfigError as error:
        typer.echo(error, err=True)
        raise typer.Exit(2) from error
    except ProvisioningError as error:
        typer.echo(error, err=True)
        raise typer.Exit(1) from error
