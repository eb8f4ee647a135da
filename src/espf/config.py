"""What an installation is told: a TOML file named by `ESPF_CONFIG`, `ESPF_…` variables over it.

Read once, at a command's start, and passed on. Handlers are no part of it: they are in the
database, put there by `espf apply`.
"""

import difflib
import os
import socket
import tomllib
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from espf.database_url import DEFAULT_URL, DatabaseUrl, parse_database_url
from espf.errors import ConfigError
from espf.listening import host_and_port

FILE_VARIABLE = "ESPF_CONFIG"
PREFIX = "ESPF_"

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["auto", "console", "json"]


def _host_name() -> str:
    return socket.gethostname() or "espf"


def _listenable(text: str) -> str:
    host_and_port(text)
    return text


def _long_enough(token: SecretStr) -> SecretStr:
    if len(token.get_secret_value()) < 16:
        raise ValueError("must have at least 16 characters")
    return token


class Config(BaseSettings):
    """Everything that can be told, with its default. TOML keys are the fields' names."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,  # an input may be a secret
    )

    database_url: str = Field(
        DEFAULT_URL,
        description="Where the database is: sqlite:///PATH, or any address that libpq takes.",
    )
    instance_name: str = Field(
        default_factory=_host_name,
        min_length=1,
        max_length=64,
        description="Name of this engine in the attempt log; the host's name unless told.",
    )
    service_ip: IPv4Address | IPv6Address | None = Field(
        None, description="Source address of the requests; the system's choice unless told."
    )
    log_level: LogLevel = Field("info", description="debug, info, warning or error.")
    log_format: LogFormat = Field(
        "auto", description="console or json; auto: console on a terminal, else json."
    )
    grace_period_s: float = Field(
        10, ge=0, le=3600, description="Seconds in which requests under way may end at a stop."
    )
    lease_s: float = Field(
        6,
        ge=1,
        le=600,
        description="Seconds after which a dead instance's lanes go to others (PostgreSQL); the "
        "same for all instances.",
    )
    retention_finished_days: int = Field(
        90, ge=1, le=36500, description="Days that finished events and their attempts are kept."
    )
    retention_failed_days: int = Field(90, ge=1, le=36500, description="The same of failed ones.")
    retention_skipped_days: int = Field(90, ge=1, le=36500, description="The same of skipped ones.")
    retention_max_backlog_days: int = Field(
        90, ge=1, le=36500, description="Days after which an event that still waits ends failed."
    )
    host: str = Field("127.0.0.1", min_length=1, description="Address the web side listens on.")
    port: int = Field(8080, ge=0, le=65535, description="Its port; 0 takes any free one.")
    allowed_hosts: str = Field(
        "", description="Host names, separated by commas, by which browsers may call the web side."
    )
    metrics: Annotated[str, AfterValidator(_listenable)] | None = Field(
        None,
        description="HOST:PORT on which an instance serves /metrics, /healthz and /readyz; nowhere "
        "unless told.",
    )
    metrics_token: Annotated[SecretStr, AfterValidator(_long_enough)] | None = Field(
        None,
        description="What a client that is not on this machine must send to read /metrics, as "
        "Authorization: Bearer TOKEN; at least 16 characters.",
    )
    secret_key: SecretStr | None = Field(
        None, description="Key that encrypts secrets at rest, at least 32 characters."
    )
    secret_key_file: Path | None = Field(
        None, description="File that holds it; DATABASE.key, made at first use, unless told."
    )
    admin_password: SecretStr | None = Field(
        None, description="Password of the user admin that the first start makes."
    )

    @classmethod
    def settings_customise_sources(  # noqa: D102 - pydantic-settings' own hook
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings  # the first wins; the file's values come as `init`

    @property
    def database(self) -> DatabaseUrl:
        """The database; a file's path is absolute. Raises ConfigError for a wrong address."""
        return parse_database_url(self.database_url).absolute

    @property
    def metrics_address(self) -> tuple[str, int] | None:
        """Host and port on which an instance serves its metrics."""
        return None if self.metrics is None else host_and_port(self.metrics)

    @property
    def key_environment(self) -> dict[str, str]:
        """Where the key is, in the words of `espf.secrets`."""
        from espf.secrets import (  # noqa: PLC0415 - cryptography takes long to load
            KEY_FILE_VARIABLE,
            KEY_VARIABLE,
        )

        found = {}
        if self.secret_key is not None:
            found[KEY_VARIABLE] = self.secret_key.get_secret_value()
        if self.secret_key_file is not None:
            found[KEY_FILE_VARIABLE] = str(self.secret_key_file)
        return found

    @property
    def environment(self) -> dict[str, str]:
        """Variables with which a child process, or Django, has the same database and key."""
        return {"ESPF_DATABASE_URL": str(self.database), **self.key_environment}


class _Decided(Config):
    """Checks values that were put together already: no variable is looked at again."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Nothing but the values."""
        return (init_settings,)


def load_config(
    environment: Mapping[str, str] = os.environ, given: Mapping[str, object] | None = None
) -> Config:
    """Read the configuration; `given` are the options of a command, which win.

    Raises ConfigError that lists everything that is wrong with it.
    """
    file = environment.get(FILE_VARIABLE)
    from_file = read_toml(Path(file), f"{FILE_VARIABLE} names") if file else {}
    problems = [_unknown(key) for key in from_file if key not in Config.model_fields]
    known = {key: value for key, value in from_file.items() if key in Config.model_fields}
    try:
        config = Config(**known)
        if given:
            config = _Decided(**{**config.model_dump(), **given})
    except ValidationError as error:
        problems += [_in_words(item["loc"], item["msg"]) for item in error.errors()]
        config = None
    if config is None or problems:
        where = f" (file {file}, then {PREFIX}… variables)" if file else ""
        raise ConfigError(f"The configuration is wrong{where}:", problems)
    config.database  # noqa: B018 - refuse a wrong address now
    return config


def read_toml(path: Path, named_by: str = "") -> dict[str, Any]:
    """Read a TOML file. Raises ConfigError that says what is wrong, and in which line.

    `named_by` begins the sentence for a file that is not there: "ESPF_CONFIG names".
    """
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        named = f"{named_by} {path}, which" if named_by else f"The file {path}"
        raise ConfigError(f"{named} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text (byte {error.start}).") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not valid TOML: {_of_toml(error)}") from error


def _of_toml(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply."
    return f"{error}. A name with a dot and text both need quotes."


def _unknown(key: str) -> str:
    near = difflib.get_close_matches(key[:64], Config.model_fields, 1)
    shown = key[:64] if key[:64].isprintable() else ascii(key[:64])
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(Config.model_fields)}."
    return f"{shown} is no setting; {hint}"


def _in_words(location: tuple[int | str, ...], message: str) -> str:
    name = str(location[0]) if location else "the file"
    told = message.removeprefix("Value error, ").replace("Input should", "must")
    return f"{name} ({PREFIX}{name.upper()}): {told}."
