"""Opens connections to PostgreSQL and translates its errors, here and nowhere else."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors

from espf.database_url import PostgresUrl
from espf.errors import LockTaken, StorageError, StorageRefused
from espf.eventlog.statements import statements
from espf.eventlog.version import check_version

OLDEST_SERVER = 150000
CONNECT_TIMEOUT_S = 10
STATEMENT_TIMEOUT_S = 60
LOCK_TIMEOUT_S = 30

_ADVICE: tuple[tuple[type[psycopg.Error], str], ...] = (
    (errors.DiskFull, "the server's disk is full; free some space"),
    (errors.TooManyConnections, "end some connections, or raise max_connections"),
    (errors.AdminShutdown, "it is being restarted, or an administrator ended the connection"),
    (errors.CrashShutdown, "it is recovering from a crash, and comes back by itself"),
    (errors.CannotConnectNow, "it is starting or stopping, and comes back by itself"),
    (errors.LockNotAvailable, f"another transaction held a lock for {LOCK_TIMEOUT_S} s"),
    (errors.DeadlockDetected, "two changes waited for each other; try again"),
    (errors.SerializationFailure, "somebody else changed the same; try again"),
    (errors.QueryCanceled, f"given up: it took longer than {STATEMENT_TIMEOUT_S} s"),
    (errors.InvalidPassword, "correct the password in ESPF_DATABASE_URL"),
    (errors.InvalidCatalogName, "make the database first: `createdb`, or CREATE DATABASE"),
    (errors.InsufficientPrivilege, "make this user the owner of the tables"),
    (errors.ReadOnlySqlTransaction, "a standby; name the primary in ESPF_DATABASE_URL"),
    (errors.OperationalError, "check that it runs and can be reached, and ESPF_DATABASE_URL"),
)
_MADE: tuple[tuple[type[psycopg.Error], type[StorageError]], ...] = (
    (errors.LockNotAvailable, LockTaken),
    (errors.IntegrityError, StorageRefused),
    (errors.DataError, StorageRefused),
)
# An error while connecting has no code, only words.
_WORDS: tuple[tuple[str, type[psycopg.Error]], ...] = (
    (r"database .* does not exist", errors.InvalidCatalogName),
    (r"password authentication failed|no password supplied", errors.InvalidPassword),
    (r"too many (clients|connections)|connection slots", errors.TooManyConnections),
    (r"(starting up|shutting down|not yet accepting|in recovery mode)", errors.CannotConnectNow),
)


def connect(
    url: PostgresUrl, application: str, *, checked: bool = True
) -> "psycopg.Connection[tuple[object, ...]]":
    """Open a connection in autocommit mode for an operator.

    Raises StorageError if the server is away, too old, or the tables are of another version
    (unless not `checked`).
    """
    with translated(url):
        connection = psycopg.connect(
            url.conninfo,
            autocommit=True,
            **settings(url, application),  # type: ignore[arg-type]
        )
        try:
            check_server(connection.info.server_version)
            if checked:
                check_version(_version(connection), url.shown)
        except BaseException:
            connection.close()
            raise
    return connection


def settings(url: PostgresUrl, application: str) -> dict[str, object]:
    """What every connection of ours asks for; the address's own parameters win."""
    wanted = {
        "connect_timeout": CONNECT_TIMEOUT_S,
        "application_name": application,
        "client_encoding": "utf8",
        # A peer that is gone without a word is noticed in seconds, not hours: by us, and by the
        # server, which would keep the connection, and the locks of its transaction.
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": 15_000,
        "options": f"-c statement_timeout={STATEMENT_TIMEOUT_S}s -c lock_timeout={LOCK_TIMEOUT_S}s"
        f" -c idle_in_transaction_session_timeout={STATEMENT_TIMEOUT_S}s"
        " -c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3"
        " -c tcp_user_timeout=15000",
    }
    given = url.parts
    return {name: value for name, value in wanted.items() if name not in given}


def check_server(version: int) -> None:
    """Raise StorageError if the server is older than we support."""
    if version < OLDEST_SERVER:
        raise StorageError(
            f"The server is PostgreSQL {version // 10000}; espf needs 15 or newer. Upgrade it."
        )


def _version(connection: "psycopg.Connection[tuple[object, ...]]") -> int | None:
    try:
        row = connection.execute(statements("postgres")["schema_version"]).fetchone()
    except errors.UndefinedTable:
        return None
    return None if row is None else int(str(row[0]))


@contextmanager
def translated(url: PostgresUrl) -> Iterator[None]:
    """Turn psycopg's errors into StorageError with what, where and how to mend it."""
    try:
        yield
    except psycopg.Error as error:
        raise storage_error(error, url) from error


def storage_error(error: psycopg.Error, url: PostgresUrl) -> StorageError:
    """What the operator is told about an error of PostgreSQL; never the address's password."""
    text = error.diag.message_primary
    kind = type(error)
    if text is None:
        text = str(error).strip().rpartition("\n")[2].rpartition("FATAL:")[2].strip()
        kind = next((found for words, found in _WORDS if re.search(words, text)), kind)
    advice = next((advice for known, advice in _ADVICE if issubclass(kind, known)), None)
    password = url.parts.get("password")
    if password:
        text = text.replace(password, "…")
    told = f"{url.shown}: {text}" + (f" ({advice})." if advice else ".")
    return next((made for known, made in _MADE if issubclass(kind, known)), StorageError)(told)
