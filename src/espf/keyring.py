"""One key for one database: the first use of a key leaves its fingerprint there.

A machine with another key would encrypt what the others cannot read, and sign logins that they
refuse, so it is told which key to copy. The fingerprint tells keys apart and says nothing of them.
"""

import os
from collections.abc import Mapping
from typing import Protocol

from espf.database_url import DatabaseUrl
from espf.errors import ConfigError
from espf.secrets import (
    KEY_FILE_VARIABLE,
    KEY_VARIABLE,
    FoundKey,
    SecretBox,
    derived_key,
    find_key,
    key_file,
    load_key,
)


class KeyRegister(Protocol):
    """Where a database keeps the fingerprint of its key."""

    def fingerprint(self) -> str | None:
        """That of the key in use; None before the first use."""

    def claim(self, fingerprint: str) -> None:
        """Store it, unless somebody else has just done so."""


def open_box(
    database: DatabaseUrl,
    register: KeyRegister,
    environment: Mapping[str, str] = os.environ,
    *,
    claim: bool = True,
) -> SecretBox:
    """The box of this database, with its key; the first one is made if there is none anywhere.

    Raises ConfigError for another key than the database is used with, ConfigError or StorageError
    if there is no key to be had.
    """
    check_key(database, register, environment)
    key = load_key(database, environment)
    if claim and register.fingerprint() is None:
        register.claim(fingerprint(key))
        check_key(database, register, environment)
    return SecretBox(key)


def check_key(
    database: DatabaseUrl,
    register: KeyRegister,
    environment: Mapping[str, str] = os.environ,
    *,
    needed: bool = True,
) -> None:
    """Raise ConfigError if the key that is here is not the one that the database is used with.

    Without `needed`, none at all will do.
    """
    wanted = register.fingerprint()
    if wanted is None:
        return
    found = find_key(database, environment)
    if found is None and needed:
        raise ConfigError(
            f"The database {database.shown} is in use with a key that is not here. {_copy(None)} "
            f"{key_file(database, environment)} (mode 600), or set {KEY_VARIABLE} to it."
        )
    if found is not None and fingerprint(found.key) != wanted:
        raise ConfigError(
            f"The key in {found.source} is not the one that the database {database.shown} is in "
            f"use with. {_copy(found)} {found.source}."
        )


def _copy(found: FoundKey | None) -> str:
    """The sentence's end is where to."""
    verb = "Put it into" if found is not None and found.source == KEY_VARIABLE else "Copy it to"
    return (
        "On a machine that works with this database, `espf doctor` names the key's file, or it is "
        f"in {KEY_VARIABLE} or {KEY_FILE_VARIABLE} there. {verb}"
    )


def fingerprint(key: str) -> str:
    """Tells keys apart; no key can be had from it."""
    return derived_key(key, "fingerprint")
