"""Every option of the YateHSS handler (domain, 6.2)."""

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from espf.delivery.model import Target
from espf.handlers.contract import option_checks
from espf.handlers.contract.settings import StateSettings
from espf.handlers.marks import Kind
from espf.handlers.yate_hss import checks
from espf.handlers.yate_hss.template import DEFAULT_TEMPLATE

MAX_CONCURRENCY = 3
"""The server lets three requests through at a time."""


class YateHssSettings(StateSettings):
    """Options of a YateHSS. The names in quotes are the ones that operators write."""

    concurrency: int = Field(
        MAX_CONCURRENCY,
        alias="Concurrency",
        ge=1,
        le=MAX_CONCURRENCY,
        description="Subscribers worked on side by side; the HSS takes 3 requests at a time.",
    )
    url_text: Annotated[str, Kind("http(s) URL"), AfterValidator(option_checks.url)] = Field(
        alias="YateHSS.URL",
        description="The HSS's JSON API, such as https://10.0.0.5/api.php.",
    )
    api_secret: Annotated[SecretStr, AfterValidator(option_checks.secret)] = Field(
        alias="YateHSS.APISecret", description="The API secret that the HSS is configured with."
    )
    auth_header: Annotated[str, Kind("header name"), AfterValidator(checks.header)] = Field(
        "X-Authentication",
        alias="YateHSS.AuthHeader",
        description="Header that carries it; Mobile-API-Secret for older releases.",
    )
    node: Annotated[str, AfterValidator(checks.word)] = Field(
        "hss", alias="YateHSS.Node", description="Name of the node in requests."
    )
    request_timeout_s: Annotated[float, Kind("number of seconds")] = Field(
        30,
        alias="YateHSS.RequestTimeout",
        gt=0,
        le=3600,
        description="Seconds from sending a request until its answer must be there.",
    )
    sim_profile: str = Field(
        "",
        alias="YateHSS.SIMProfile",
        description="SIM profile of new cards; it must exist on the HSS. Empty: not sent.",
    )
    cs_profile: str = Field(
        "",
        alias="YateHSS.CSProfile",
        description="$cs_profile of accounts whose access policy names none in lte.wtl.",
    )
    ps_profile: str = Field(
        "",
        alias="YateHSS.PSProfile",
        description="$ps_profile of accounts whose access policy names none in lte.wtl.",
    )
    eps_profile: str = Field(
        "",
        alias="YateHSS.EPSProfile",
        description="$eps_profile of accounts whose access policy names none in lte.wtl.",
    )
    ims_profile: str = Field(
        "",
        alias="YateHSS.IMSProfile",
        description="$ims_profile of accounts whose access policy names none in lte.wtl.",
    )
    block_scope: Annotated[str, Kind("cs, ps, lte"), AfterValidator(checks.block_scope)] = Field(
        "cs,ps,lte",
        alias="YateHSS.BlockScope",
        description="Services that are off while there is any reason to bar.",
    )
    imsi_pattern: Annotated[
        str, Kind("IMSI patterns"), AfterValidator(option_checks.imsi_patterns)
    ] = Field(
        "",
        alias="YateHSS.IMSIPattern",
        description="IMSIs that this HSS has, such as 00101*, 00102*; empty: all.",
    )
    subscriber_template: Annotated[str, Kind("JSON"), AfterValidator(checks.template)] = Field(
        DEFAULT_TEMPLATE,
        alias="YateHSS.SubscriberTemplate",
        description="Parameters of set_subscriber, with $fields in its texts.",
    )
    read_back: bool = Field(
        default=True,
        alias="YateHSS.ReadBack",
        description="Ask query_cs_reg and query_ps_reg before and after; off: trust its answers.",
    )
    absent_words: str = Field(
        "unknown, no such, does not exist, not exist",
        alias="YateHSS.AbsentWords",
        description="Words in an answer of code 401 or 404 that mean that it has no such card.",
    )
    tls_ca_file: Annotated[str, Kind("file")] = Field(
        "",
        alias="YateHSS.TLS.CAFile",
        description="PEM file of the authorities to trust; empty: the system's.",
    )
    tls_verify: bool = Field(
        default=True,
        alias="YateHSS.TLS.Verify",
        description="Check the HSS's certificate and name.",
    )

    # ---- what they stand for ----

    @property
    def url(self) -> Target:
        """The address, taken apart."""
        return Target.from_url(self.url_text)

    @property
    def secrets(self) -> tuple[str, ...]:
        """To be masked in whatever the HSS says."""
        return (self.api_secret.get_secret_value(),)

    @property
    def service_profiles(self) -> dict[str, str]:
        """The profiles of accounts whose access policy names no other, by the template's field."""
        return {
            "cs_profile": self.cs_profile,
            "ps_profile": self.ps_profile,
            "eps_profile": self.eps_profile,
            "ims_profile": self.ims_profile,
        }

    @property
    def blocked_services(self) -> frozenset[str]:
        """`YateHSS.BlockScope` as a set of cs, ps, lte."""
        return checks.services_in(self.block_scope)
