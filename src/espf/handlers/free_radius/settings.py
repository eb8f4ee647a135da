"""Every option of the FreeRADIUS handler."""

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from espf.database_url import DatabaseUrl, PostgresUrl, SqliteUrl, parse_database_url
from espf.errors import ConfigError
from espf.events.patterns import matches, split_patterns
from espf.handlers.contract.settings import ServiceGroup, StateSettings
from espf.handlers.free_radius.user import group_name
from espf.handlers.marks import Kind

_ACCEPTED = (
    "must be sqlite:////ABSOLUTE/FILE or an address that libpq takes, such as "
    "postgresql://USER:PASSWORD@HOST/radius."
)


def _database_url(secret: SecretStr) -> SecretStr:
    try:
        url = parse_database_url(secret.get_secret_value())
    except ConfigError:
        raise ValueError(_ACCEPTED) from None
    if isinstance(url, SqliteUrl) and not url.path.is_absolute():
        raise ValueError(f"{_ACCEPTED[:-1]}; the file's path must begin at the root.")
    return secret


def _group(text: str) -> str:
    if not text or group_name(text) != text:
        raise ValueError("must be letters, digits, spaces and @ . - _ : / only.")
    return text


class FreeRadiusSettings(StateSettings):
    """Options of a FreeRADIUS. The names in quotes are the ones that operators write."""

    service_group: ServiceGroup = Field(
        "Netaccess",
        alias="ServiceGroup",
        description="Service group in which its results are an account's provisioning status.",
    )
    database_url: Annotated[SecretStr, AfterValidator(_database_url)] = Field(
        alias="FreeRADIUS.DatabaseURL",
        description="FreeRADIUS's database, such as postgresql://espf:PASSWORD@10.0.0.6/radius.",
    )
    request_timeout_s: Annotated[float, Kind("number of seconds")] = Field(
        10,
        alias="FreeRADIUS.RequestTimeout",
        gt=0,
        le=600,
        description="Seconds that the database may take.",
    )
    id_patterns_text: Annotated[str, Kind("patterns")] = Field(
        "",
        alias="FreeRADIUS.IDPattern",
        description="Ids of the accounts that are its users, such as *@dsl; empty: all.",
    )
    suspended_group: Annotated[str, AfterValidator(_group)] = Field(
        "suspended",
        alias="FreeRADIUS.SuspendedGroup",
        description="Group of users that are barred; is rejected unless its rows say otherwise.",
    )
    group_priority: int = Field(
        10,
        alias="FreeRADIUS.GroupPriority",
        ge=2,
        le=1_000_000,
        description="Priority of the product's group; that of the suspended has 1.",
    )
    keep_groups_text: Annotated[str, Kind("patterns")] = Field(
        "",
        alias="FreeRADIUS.KeepGroups",
        description="Groups that others give and take, such as vpn-*; these are left alone.",
    )
    disconnect: bool = Field(
        default=True,
        alias="FreeRADIUS.Disconnect",
        description="Ask the NAS to end open sessions of users that are barred or gone.",
    )
    disconnect_port: int = Field(
        3799,
        alias="FreeRADIUS.DisconnectPort",
        ge=1,
        le=65_535,
        description="Port where NASes take Disconnect-Requests.",
    )
    disconnect_secret: SecretStr | None = Field(
        None,
        alias="FreeRADIUS.DisconnectSecret",
        description="Secret of all NASes; empty: the one of each in the table nas.",
    )
    disconnect_timeout_s: Annotated[float, Kind("number of seconds")] = Field(
        2,
        alias="FreeRADIUS.DisconnectTimeout",
        gt=0,
        le=60,
        description="Seconds to wait for a NAS's answer, three times.",
    )

    # ---- what they stand for ----

    @property
    def database(self) -> DatabaseUrl:
        """Where it is."""
        return parse_database_url(self.database_url.get_secret_value())

    def concerns(self, name: str) -> bool:
        """Whether the id is that of a user."""
        patterns = split_patterns(self.id_patterns_text)
        return not patterns or any(matches(pattern, name) for pattern in patterns)

    def keeps(self, group: str) -> bool:
        """Whether membership in the group is others' business."""
        return any(matches(pattern, group) for pattern in split_patterns(self.keep_groups_text))

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must be shown nowhere."""
        found = [self.database_url.get_secret_value()]
        if isinstance(self.database, PostgresUrl):
            found.append(self.database.parts.get("password", ""))
        if self.disconnect_secret is not None:
            found.append(self.disconnect_secret.get_secret_value())
        return tuple(filter(None, found))
