"""Transactions of the registry, and the translation of the database's errors."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import DatabaseError, IntegrityError, connection, transaction

from espf.errors import RegistryError
from espf.eventlog.sqlite.connection import translated

_UNIQUE = re.compile(r"UNIQUE constraint failed: (.+)")
_CHECK = re.compile(r"CHECK constraint failed: (\w+)")


def database_path() -> Path:
    """The file that Django is on."""
    return Path(connection.settings_dict["NAME"])


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
    with translated(database_path()):
        try:
            yield
        except IntegrityError as error:
            raise RegistryError(refusal(str(error))) from error
        except DatabaseError as error:
            if isinstance(error.__cause__, sqlite3.Error):
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
