"""Opens subscribers on either engine. Drivers load when used."""

from espf.clock import Clock
from espf.database_url import DatabaseUrl, SqliteUrl
from espf.subscribers.port import SubscriberSource
from espf.subscribers.reading import Decrypt


def open_subscribers(url: DatabaseUrl, clock: Clock, decrypt: Decrypt) -> SubscriberSource:
    """Open the subscribers of a database; `decrypt` opens one stored secret.

    Raises StorageError if the file is missing or of another version; a server that is away is
    noticed at the first question.
    """
    if isinstance(url, SqliteUrl):
        from espf.subscribers.sqlite import SqliteSubscribers  # noqa: PLC0415

        return SqliteSubscribers(url.path.absolute(), clock, decrypt)
    from espf.subscribers.postgres import PostgresSubscribers  # noqa: PLC0415

    return PostgresSubscribers(url, clock, decrypt)
