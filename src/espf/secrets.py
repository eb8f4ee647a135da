"""Secrets at rest: passwords, Ki, OPc and handlers' keys are stored encrypted.

The key is in `ESPF_SECRET_KEY`, or in the file `ESPF_SECRET_KEY_FILE`, or in a file that is made at
first use: `<database>.key` beside an SQLite file, `~/.config/espf/<database>.key` for PostgreSQL.
All machines that share a database need the same key (`espf.keyring` sees to it). Whoever has the
database alone reads no secret.
"""

import base64
import os
import re
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from espf.database_url import DatabaseUrl, SqliteUrl
from espf.errors import ConfigError, StorageError

KEY_VARIABLE = "ESPF_SECRET_KEY"
KEY_FILE_VARIABLE = "ESPF_SECRET_KEY_FILE"
MIN_KEY_LENGTH = 32
_MADE_BY = "Make one with `openssl rand -base64 32`."


class SecretBox:
    """Encrypts and decrypts short texts. Two encryptions of one text differ."""

    def __init__(self, key: str) -> None:
        self._fernet = Fernet(derived_key(key, "secrets at rest").encode())

    def encrypt(self, text: str) -> str:
        """Ciphertext, printable ASCII."""
        return self._fernet.encrypt(text.encode()).decode()

    def decrypt(self, ciphertext: str) -> str:
        """The text again. Raises StorageError if it was encrypted with another key."""
        try:
            return self._fernet.decrypt(ciphertext.encode()).decode()
        except InvalidToken:
            raise StorageError(
                "A stored secret cannot be decrypted with the present key. Restore the key that "
                f"was in use ({KEY_VARIABLE}, {KEY_FILE_VARIABLE} or the .key file next to the "
                "database), or set the secret again."
            ) from None


def derived_key(key: str, purpose: str) -> str:
    """A key for one purpose alone, from the installation's key (HKDF-SHA256); base64."""
    kdf = HKDF(algorithm=SHA256(), length=32, salt=None, info=f"espf {purpose}".encode())
    return base64.urlsafe_b64encode(kdf.derive(key.encode())).decode()


class FoundKey(NamedTuple):
    """A key, and where it is from."""

    key: str
    source: str
    """The variable's name, or `the key file PATH`."""


def find_key(database: DatabaseUrl, environment: Mapping[str, str] = os.environ) -> FoundKey | None:
    """The installation's key, from the environment or a file; None if there is none yet.

    Raises ConfigError for a key that is too short, StorageError if the file cannot be used.
    """
    if given := environment.get(KEY_VARIABLE):
        return FoundKey(_checked(given.strip(), KEY_VARIABLE), KEY_VARIABLE)
    path = key_file(database, environment)
    source = f"the key file {path}"
    with _usable(path):
        try:
            return FoundKey(_checked(path.read_text("utf-8").strip(), source), source)
        except FileNotFoundError:
            return None


def load_key(database: DatabaseUrl, environment: Mapping[str, str] = os.environ) -> str:
    """The installation's key; its file is made if there is none. Raises as `find_key` does."""
    found = find_key(database, environment)
    if found is None:
        path = key_file(database, environment)
        with _usable(path):
            if not environment.get(KEY_FILE_VARIABLE) and not isinstance(database, SqliteUrl):
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _make(path)
        found = find_key(database, environment)
        assert found is not None
    return found.key


def key_file(database: DatabaseUrl, environment: Mapping[str, str] = os.environ) -> Path:
    """The file that holds the key, or would, if no variable does."""
    named = environment.get(KEY_FILE_VARIABLE)
    return Path(named) if named else default_key_file(database)


@contextmanager
def _usable(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise StorageError(
            f"The key file {path} cannot be used: {reason}. Give this user the right to read it "
            f"(at first use: to make it), or set {KEY_VARIABLE}."
        ) from error


def default_key_file(database: DatabaseUrl) -> Path:
    """Where the key is kept unless told otherwise."""
    if isinstance(database, SqliteUrl):
        path = database.path.absolute()
        return path.with_name(f"{path.name}.key")
    parts = database.parts
    name = re.sub(r"[^\w.-]", "_", "-".join(filter(None, [parts.get("host"), parts.get("dbname")])))
    folder = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "espf"
    return folder / f"{name.strip('_') or 'postgres'}.key"


def _checked(key: str, where: str) -> str:
    if len(key) < MIN_KEY_LENGTH:
        raise ConfigError(
            f"The key in {where} is shorter than {MIN_KEY_LENGTH} characters. {_MADE_BY}"
        )
    return key


def _make(path: Path) -> None:
    """Write a key aside and link it into place: who comes second finds a whole key, and uses it."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
    aside = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{secrets.token_urlsafe(32)}\n")
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(aside)
    except FileExistsError:
        pass
    finally:
        aside.unlink()
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
