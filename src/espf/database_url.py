"""Where the database is: reads `ESPF_DATABASE_URL`."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from espf.errors import ConfigError

DEFAULT_URL = "sqlite:///espf.db"
_ACCEPTED = "use sqlite:///FILE (relative) or sqlite:////ABSOLUTE/FILE"


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """A database that espf can open."""

    path: Path
    """The SQLite file, as given: relative to the working directory unless absolute."""

    @classmethod
    def parse(cls, text: str) -> "DatabaseUrl":
        """Read `sqlite:///PATH`; percent escapes are decoded.

        Raises ConfigError that says what is accepted. It does not repeat the text, which may hold
        a password.
        """
        scheme, mark, rest = text.strip().partition("://")
        if scheme in {"postgres", "postgresql"} or "dbname=" in text or "host=" in text:
            raise ConfigError(
                f"ESPF_DATABASE_URL names a PostgreSQL database; PostgreSQL comes with the next "
                f"release. Until then {_ACCEPTED}."
            )
        if scheme != "sqlite" or not mark or not rest.startswith("/") or rest == "/":
            raise ConfigError(f"ESPF_DATABASE_URL is not a database's address; {_ACCEPTED}.")
        return cls(_path(unquote(rest[1:])))

    def __str__(self) -> str:
        return f"sqlite:///{self.path}"


def _path(name: str) -> Path:
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in name):
        raise ConfigError("ESPF_DATABASE_URL holds a control character; name a file without one.")
    if name.endswith("/") or name in {":memory:", ".", ".."}:
        raise ConfigError(f"ESPF_DATABASE_URL names no file; {_ACCEPTED}.")
    return Path(name)
