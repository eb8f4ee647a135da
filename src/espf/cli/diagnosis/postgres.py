"""Checks of a PostgreSQL server and database, and of the instances that work on it."""

import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import psycopg

from espf.cli.diagnosis.finding import Finding, ok, warn, wrong
from espf.cli.diagnosis.triggers import check_triggers
from espf.clock import Clock
from espf.database_url import PostgresUrl
from espf.errors import StorageError
from espf.eventlog.postgres.connection import connect, translated
from espf.eventlog.vitals import HELD_S, OpenTransaction, Vitals

FEW_CONNECTIONS: Final = 10
CLOCK_S: Final = 2.0
_LEFT = """
SELECT CAST(current_setting('max_connections') AS integer)
    - CAST(current_setting('superuser_reserved_connections') AS integer) - count(*),
  current_setting('max_connections')
FROM pg_stat_activity WHERE backend_type = 'client backend'
"""
_UNSAFE = {
    "synchronous_commit": "a crash of the server takes back changes of the last second, and their "
    "events with them",
    "fsync": "a power loss may destroy the database",
    "full_page_writes": "a power loss may leave half-written pages",
}
"""What it means if it is off."""

Connection = psycopg.Connection[tuple[Any, ...]]


def check_server(url: PostgresUrl, clock: Clock) -> Iterator[Finding]:
    """Server, version, writing, settings, triggers, clock. Ends at what prevents the others."""
    try:
        connection = connect(url, "espf doctor")
    except StorageError as error:
        yield wrong("database", str(error))
        return
    try:
        with translated(url), connection:
            version = connection.info.parameter_status("server_version")
            yield ok("database", f"{url.shown}: PostgreSQL {version}, tables of this version.")
            yield from _writing(connection, url)
            yield _durability(connection)
            yield _connections(connection)
            yield check_triggers(connection)
            yield _clock(connection, clock)
    except StorageError as error:
        yield wrong("database", str(error))


def check_vitals(vitals: Vitals) -> Iterator[Finding]:
    """What holds readers back, and whether there is room for what comes."""
    yield _oldest(vitals.oldest_writer)
    ahead = vitals.partitions_ahead or 0
    message = f"{ahead} partitions are ready for what comes."
    yield (
        ok("partitions", message)
        if ahead
        else warn("partitions", message, "An instance makes more: start one (`espf instance`).")
    )


def _writing(connection: Connection, url: PostgresUrl) -> Iterator[Finding]:
    try:
        with translated(url), connection.transaction():
            # Read-only is noticed only when something is written; this row stays as it is.
            connection.execute("UPDATE espf_meta SET value = value WHERE name = 'schema_version'")
        yield ok("writing", "The database can be written.")
    except StorageError as error:
        yield wrong("writing", str(error))


def _durability(connection: Connection) -> Finding:
    off = [name for name in _UNSAFE if _value(connection, f"SHOW {name}") == "off"]
    if not off:
        return ok("durability", "What is committed survives a crash of the server.")
    return warn(
        "durability",
        " ".join(f"{name} is off: {_UNSAFE[name]}." for name in off),
        "Turn it on in postgresql.conf, or for this database or user where it was turned off.",
    )


def _connections(connection: Connection) -> Finding:
    left, most = connection.execute(_LEFT).fetchone() or (0, "?")
    message = f"{max(0, left)} of {most} connections are left."
    if left >= FEW_CONNECTIONS:
        return ok("connections", message)
    return warn("connections", message, "Raise max_connections, or end some.")


def _clock(connection: Connection, clock: Clock) -> Finding:
    asked_us = clock.now_us()
    server_us = int(
        _value(connection, "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1e6 AS bigint)")
    )
    ahead_s = (server_us - (asked_us + clock.now_us()) / 2) / 1_000_000
    if abs(ahead_s) <= CLOCK_S:
        return ok("clock", f"The server's clock is {abs(ahead_s):.1f} s from this machine's.")
    return warn(
        "clock",
        f"The server's clock is {abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} "
        "this machine's: times of events and of attempts do not match.",
        "Set both by NTP.",
    )


def _oldest(found: OpenTransaction | None) -> Finding:
    if found is None:
        return ok("transactions", "No transaction that writes is open.")
    who = f"process {found.pid}" if found.pid else "no process"
    who = f"{who} ({found.application})" if found.application else who
    if found.age_s is None:
        return warn(
            "transactions",
            f"A transaction is open, of {who}; since when, this user may not see.",
            "GRANT pg_monitor TO this user.",
        )
    message = f"The oldest transaction that writes is open for {found.age_s:.0f} s: {who}."
    if found.age_s < HELD_S:
        return ok("transactions", message)
    end = f"SELECT pg_terminate_backend({found.pid})" if found.pid else "ROLLBACK PREPARED"
    return warn(
        "transactions",
        f"{message} No event that came after it began is delivered before it ends.",
        f"Have its program end it; `{end}` ends it by force.",
    )


def check_instances(
    before: Vitals, look_again: Callable[[], Vitals], lease_s: float, *, needed: bool
) -> Iterator[Finding]:
    """Which instances live: their counters move while we look."""
    listed = {one.row.token: one for one in before.instances}
    silent = dict(listed)
    ends = time.monotonic() + lease_s * _PATIENCE
    while silent and time.monotonic() < ends:
        time.sleep(_LOOK_S)
        for one in look_again().instances:
            if one.row.token in silent and one.beats != listed[one.row.token].beats:
                del silent[one.row.token]
    living = [one.row for token, one in listed.items() if token not in silent]
    if living:
        names = ", ".join(f"{row.name} (host {row.host}, process {row.pid})" for row in living)
        yield ok("instances", f"{len(living)} run: {names}.")
    elif needed:
        yield wrong("instances", "No instance runs: nothing is delivered.", _START)
    else:
        yield warn("instances", "No instance runs.", _START)
    for one in silent.values():
        yield warn("instances", f"{one.row.name} on {one.row.host} is silent.", _SILENT)
    versions = sorted({row.version for row in living})
    if len(versions) > 1:
        yield warn("instances", f"They are of several releases: {', '.join(versions)}.", _SAME)


# They renew their leases six times within one.
_PATIENCE = 0.5
_LOOK_S = 0.1
_START = "Start `espf instance` on one machine at least, or `espf serve`."
_SILENT = "If it was ended on purpose, this passes within a day; otherwise start it again."
_SAME = "Bring all to the newest."


def _value(connection: Connection, question: str) -> Any:
    row = connection.execute(question.encode()).fetchone()
    return None if row is None else row[0]
