"""Where the database is: reads `ESPF_DATABASE_URL`, the one setting that chooses the engine."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal
from urllib.parse import unquote

from espf.errors import ConfigError

DEFAULT_URL = "sqlite:///espf.db"
EngineName = Literal["sqlite", "postgres"]
_ACCEPTED = (
    "use sqlite:///FILE (relative), sqlite:////ABSOLUTE/FILE, or a libpq address such as "
    "postgresql://USER@HOST/DATABASE or 'host=/run/postgresql dbname=espf'"
)
_POSTGRES_SCHEMES = ("postgres", "postgresql")


@dataclass(frozen=True, slots=True)
class SqliteUrl:
    """A database in a file."""

    engine: ClassVar[EngineName] = "sqlite"
    path: Path
    """The file, as given: relative to the working directory unless absolute."""

    @property
    def absolute(self) -> "SqliteUrl":
        """The same file, wherever the working directory is."""
        return SqliteUrl(self.path.absolute())

    @property
    def shown(self) -> str:
        """For people."""
        return str(self.path.absolute())

    def __str__(self) -> str:
        return f"sqlite:///{self.path}"


@dataclass(frozen=True, slots=True)
class PostgresUrl:
    """A database on a PostgreSQL server."""

    engine: ClassVar[EngineName] = "postgres"
    conninfo: str
    """As libpq takes it; may hold a password."""

    @property
    def absolute(self) -> "PostgresUrl":
        """Itself."""
        return self

    @property
    def parts(self) -> dict[str, str]:
        """libpq's parameters by name. Raises ConfigError if libpq cannot read the address."""
        from psycopg import ProgrammingError  # noqa: PLC0415 - the driver takes a while to load
        from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415

        try:
            found = conninfo_to_dict(self.conninfo)
        except ProgrammingError:  # its message repeats the address, which may hold a password
            raise ConfigError(f"ESPF_DATABASE_URL cannot be read by libpq; {_ACCEPTED}.") from None
        return {name: str(value) for name, value in found.items() if value is not None}

    @property
    def shown(self) -> str:
        """For people: database and host, no password."""
        parts = self.parts
        place = parts.get("host") or parts.get("hostaddr") or "the default host"
        port = f":{parts['port']}" if "port" in parts else ""
        return f"{parts.get('dbname', 'of the user')} on {place}{port} (PostgreSQL)"

    def __str__(self) -> str:
        return self.conninfo

    def __repr__(self) -> str:
        return f"PostgresUrl({self.shown})"


DatabaseUrl = SqliteUrl | PostgresUrl


def parse_database_url(text: str) -> DatabaseUrl:
    """Read `sqlite:///PATH` (percent escapes are decoded), or any address that libpq takes.

    Raises ConfigError that says what is accepted. It does not repeat the text, which may hold a
    password.
    """
    text = text.strip()
    scheme, mark, rest = text.partition("://")
    if (mark and scheme in _POSTGRES_SCHEMES) or (not mark and "=" in text):
        found = PostgresUrl(text)
        found.parts  # noqa: B018 - refuse a wrong address now
        return found
    if scheme != "sqlite" or not mark or not rest.startswith("/") or rest == "/":
        raise ConfigError(f"ESPF_DATABASE_URL is not a database's address; {_ACCEPTED}.")
    return SqliteUrl(_path(unquote(rest[1:])))


def _path(name: str) -> Path:
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in name):
        raise ConfigError("ESPF_DATABASE_URL holds a control character; name a file without one.")
    if name.endswith("/") or name in {":memory:", ".", ".."}:
        raise ConfigError(f"ESPF_DATABASE_URL names no file; {_ACCEPTED}.")
    return Path(name)
