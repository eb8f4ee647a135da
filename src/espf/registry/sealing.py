"""Encrypts the registry's secrets with the key of the database that Django is on."""

import os

from django.db import connection, transaction

from espf.database_url import DatabaseUrl
from espf.keyring import open_box
from espf.registry.storage import database_url
from espf.secrets import KEY_FILE_VARIABLE, KEY_VARIABLE, SecretBox

_FINGERPRINT = "key_fingerprint"
_agreed: dict[tuple[DatabaseUrl, str, str], SecretBox] = {}


def secret_box() -> SecretBox:
    """The box of the present database and environment; its key is the database's from now on.

    Raises ConfigError for another key than the database is used with.
    """
    given = {name: os.environ.get(name, "") for name in (KEY_VARIABLE, KEY_FILE_VARIABLE)}
    place = (database_url(), given[KEY_VARIABLE], given[KEY_FILE_VARIABLE])
    box = _agreed.get(place)
    if box is None:
        box = open_box(database_url(), DjangoRegister(), given)
        # Not before it is committed: after a rollback another key may be the first.
        transaction.on_commit(lambda: _agreed.setdefault(place, box))
    return box


class DjangoRegister:
    """See `espf.keyring`: part of the transaction that is open, on Django's connection."""

    def fingerprint(self) -> str | None:
        """That of the key in use."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT value FROM installation WHERE name = %s", [_FINGERPRINT])
            row = cursor.fetchone()
        return None if row is None else str(row[0])

    def claim(self, fingerprint: str) -> None:
        """Store it, unless somebody else has just done so."""
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO installation (name, value) VALUES (%s, %s)"
                " ON CONFLICT (name) DO NOTHING",
                [_FINGERPRINT, fingerprint],
            )
