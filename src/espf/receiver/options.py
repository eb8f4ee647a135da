"""What an `espf receiver` is told: where to listen, what to demand, how to fail."""

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from espf.errors import ConfigError
from espf.receiver.methods import AuthMethod, Profile


class ReceiverOptions(BaseModel):
    """All that a receiver can be told; every one has a default, so `espf receiver` just runs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    port: int = Field(5000, ge=0, le=65535)
    """0 takes any free port; the first line printed names it."""

    auth: AuthMethod = AuthMethod.NONE
    """What a request must show. `None` accepts every caller."""
    auth_header: str = Field("Authorization", pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
    user: str = ""
    """Basic: the user. Signature: the key's id."""
    key: SecretStr = SecretStr("")
    """Basic: the password. Custom: the credentials. Signature: the key."""
    auth_type: str = ""
    """Custom: the word before the credentials, such as `Bearer`."""
    profile: Profile = Profile.DATE_VALUE

    record: Path | None = None
    """File that each request is appended to as a line of JSON; `<record>.seen` remembers ids."""
    remember: int = Field(100_000, ge=1)
    """Without `record`: how many of the latest `i_event` are known again."""

    status: int | None = Field(None, ge=200, le=599)
    """Refuse with this status and act on nothing."""
    drop: bool = False
    """Act on the event, then close the connection without an answer."""
    times: int | None = Field(None, ge=1)
    """Only the first so many requests fail; then all is well."""
    fail_rate: float | None = Field(None, ge=0, le=1)
    """Share of requests that fail, at random; by status 503 unless told otherwise."""
    delay_s: float = Field(0, ge=0, le=3600)
    """Wait so long before answering, after having acted."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.auth in (AuthMethod.BASIC, AuthMethod.SIGNATURE) and not self.user:
            raise ValueError(f"--auth {self.auth} needs --user")
        if self.auth is AuthMethod.CUSTOM and not self.auth_type:
            raise ValueError("--auth Custom needs --type, such as --type Bearer")
        if self.auth is not AuthMethod.NONE and not self.key.get_secret_value():
            raise ValueError(f"--auth {self.auth} needs --key or ESPF_RECEIVER_KEY")
        if self.status is not None and self.drop:
            raise ValueError("--status and --drop exclude each other: one answers, one does not")
        if self.times is not None and not self.fails:
            raise ValueError("--times says how often to fail: give --status or --drop as well")
        return self

    @property
    def fails(self) -> bool:
        """Whether some requests are to fail at all."""
        return self.status is not None or self.drop or self.fail_rate is not None


def receiver_options(**given: object) -> ReceiverOptions:
    """Check what the command line gave. Raises ConfigError that names each wrong option."""
    try:
        return ReceiverOptions.model_validate(given)
    except ValidationError as error:
        problems = [_problem(item["loc"], item["msg"]) for item in error.errors()]
    # Raised outside the except block: pydantic's error holds the input, and so the key.
    raise ConfigError("The receiver cannot be started like this:", problems)


def _problem(location: tuple[int | str, ...], message: str) -> str:
    text = message.removeprefix("Value error, ")
    if not location:
        return text
    return f"--{str(location[0]).removesuffix('_s').replace('_', '-')}: {text}"
