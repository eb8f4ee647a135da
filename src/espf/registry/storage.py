"""Transactions of the registry, and the translation of the database's errors."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DatabaseError, IntegrityError, connection, transaction

from espf.database_url import DatabaseUrl
from espf.errors import RegistryError
from espf.eventlog.engines import translated

_UNIQUE = re.compile(r"UNIQUE constraint failed: (.+)")
_CHECK = re.compile(r"CHECK constraint failed: (\w+)")


def database_url() -> DatabaseUrl:
    """The database that Django is on."""
    url: DatabaseUrl = connection.settings_dict["ESPF_URL"]
    return url


@contextmanager
def one_change() -> Iterator[None]:
    """A transaction, or a savepoint inside one: all of it is stored, or nothing.

    Raises RegistryError for what the registry's rules refuse, StorageError for what the database
    cannot do.
    """
    with reading(), transaction.atomic():
        yield


@contextmanager
def reading() -> Iterator[None]:
    """Translates the database's errors, without a transaction."""
    with translated(database_url()):
        try:
            yield
        except IntegrityError as error:
            raise RegistryError(refusal(str(error))) from error
        except DatabaseError as error:
            if error.__cause__ is not None:  # the driver's own, which `translated` knows
                raise error.__cause__ from error
            raise


def refusal(message: str) -> str:
    """A sentence for the operator from what a constraint or a trigger says."""
    if match := _UNIQUE.match(message):
        columns = [name.partition(".")[2] for name in match[1].split(", ")]
        named = " and ".join(name for name in columns if name != "i_env" or len(columns) == 1)
        return f"There is another record with this {named}; choose another, or update that one."
    if match := _CHECK.match(message):
        return f"The value is outside of what {match[1].replace('_', ' ', 1)} can be."
    return message
