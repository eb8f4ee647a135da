"""Transactions of the registry, and the translation of the database's errors."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import DatabaseError, DataError, IntegrityError, connection, transaction

from espf.database_url import DatabaseUrl
from espf.errors import RegistryError
from espf.eventlog.engines import translated

_UNIQUE = re.compile(r"UNIQUE constraint failed: (.+)")
_CHECK = re.compile(r"CHECK constraint failed: (\w+)")
# Of PostgreSQL's errors the code and the constraint's name count: the words may be translated.
_KEY = re.compile(r"\(([^()]+)\)=\(")
_TAKEN = {
    "accounts_id": "Another account of this environment has this id.",
    "accounts_i_sim_card_key": "The SIM card is in use by another account.",
    "sim_cards_imsi": "Another SIM card of this environment has this IMSI.",
    "sim_cards_iccid": "Another SIM card of this environment has this ICCID.",
}
"""What triggers say on SQLite."""


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
        except (IntegrityError, DataError) as error:
            raise RegistryError(refusal(error)) from error
        except DatabaseError as error:
            if error.__cause__ is not None:  # the driver's own, which `translated` knows
                raise error.__cause__ from error
            raise


def forget_statuses(i_account: int) -> None:
    """Drop the provisioning statuses of an account that goes, inside the caller's transaction.

    Their table is the engine's, which sets them.
    """
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM account_status WHERE i_account = %s", [i_account])


def refusal(error: DatabaseError) -> str:
    """A sentence for the operator from what a constraint or a trigger says."""
    diagnosis = getattr(error.__cause__, "diag", None)
    if getattr(diagnosis, "sqlstate", None) is not None:
        return _of_postgres(diagnosis)
    message = str(error)
    if match := _UNIQUE.match(message):
        return _taken([name.partition(".")[2] for name in match[1].split(", ")])
    if match := _CHECK.match(message):
        return _outside(match[1])
    return message


def _of_postgres(diagnosis: Any) -> str:
    constraint = diagnosis.constraint_name or ""
    match diagnosis.sqlstate:
        case "23505" if constraint in _TAKEN:
            return _TAKEN[constraint]
        case "23505" if found := _KEY.search(diagnosis.message_detail or ""):
            return _taken(found[1].replace('"', "").split(", "))
        case "23514":
            return _outside(constraint)
        case "23503":
            return "Somebody else removed or took what this record refers to; look at it again."
    return str(diagnosis.message_primary)


def _taken(columns: list[str]) -> str:
    named = " and ".join(name for name in columns if name != "i_env" or len(columns) == 1)
    return f"There is another record with this {named}; choose another, or update that one."


def _outside(constraint: str) -> str:
    return f"The value is outside of what {constraint.replace('_', ' ', 1)} can be."
