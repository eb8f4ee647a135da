"""Every option of the EventSender handler, under its handbook name (domain, 2.1).

The fields hold the options as they were written; the properties what they stand for.
"""

import math
from base64 import b64encode
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from espf.events.patterns import split_patterns
from espf.handlers.event_sender import checks
from espf.handlers.event_sender.subscriptions import allowed_names
from espf.handlers.event_sender.url import Url, parse_url
from espf.handlers.marks import Choices, Kind, Lines, NeededWhen
from espf.handlers.settings import HandlerSettings

_BASIC = NeededWhen("EventSender.AuthMethod", "Basic")
_CUSTOM = NeededWhen("EventSender.AuthMethod", "Custom")
_SIGNATURE = NeededWhen("EventSender.AuthMethod", "Signature")


class EventSenderSettings(HandlerSettings):
    """Options of an EventSender. The names in quotes are the ones that operators write."""

    url_text: Annotated[str, Kind("http(s) URL"), AfterValidator(checks.url)] = Field(
        alias="EventSender.URL",
        description="Where events are POSTed, such as http://hss.example:8080/events.",
    )
    api_version: Annotated[int, Choices(1, 2)] = Field(
        2,
        alias="EventSender.APIVersion",
        description="1: standard events with their variables; 2: simplified, says what to read.",
    )
    allowed_types_text: Annotated[
        str, Kind("type patterns"), AfterValidator(checks.allowed_types)
    ] = Field(
        "",
        alias="EventSender.AllowedTypes",
        description="Patterns of the names to send, such as Account/*; empty sends all.",
    )
    async_mode: bool = Field(
        default=True,
        alias="EventSender.AsyncMode",
        description="Send without waiting for earlier answers; off: one request a task at a time.",
    )
    window: int = Field(
        256,
        alias="EventSender.Window",
        ge=1,
        le=65_536,
        description="Requests that one task may have open in async mode.",
    )
    auth_method: Annotated[str, Choices("Basic", "Custom", "Signature", "None")] = Field(
        "Basic", alias="EventSender.AuthMethod", description="How requests prove who sends them."
    )
    auth_header: Annotated[str, Kind("header name"), AfterValidator(checks.auth_header)] = Field(
        "Authorization",
        alias="EventSender.AuthHeader",
        description="Header that carries the authentication.",
    )
    basic_user: Annotated[str, _BASIC, AfterValidator(checks.basic_user)] = Field(
        "", alias="EventSender.BasicAuth.User", description="User name for Basic; no colon."
    )
    basic_key: Annotated[SecretStr | None, _BASIC] = Field(
        None, alias="EventSender.BasicAuth.Key", description="Password for Basic."
    )
    custom_type: Annotated[str, _CUSTOM, AfterValidator(checks.custom_type)] = Field(
        "",
        alias="EventSender.CustomAuth.Type",
        description="Word before the credentials, such as Bearer.",
    )
    custom_credentials: Annotated[SecretStr | None, _CUSTOM, AfterValidator(checks.credentials)] = (
        Field(
            None,
            alias="EventSender.CustomAuth.Credentials",
            description="What follows that word; no space.",
        )
    )
    signature_key_id: Annotated[str, _SIGNATURE, AfterValidator(checks.key_id)] = Field(
        "",
        alias="EventSender.SignatureAuth.KeyId",
        description="Name of the signing key, as the receiver knows it.",
    )
    signature_key: Annotated[SecretStr | None, _SIGNATURE] = Field(
        None, alias="EventSender.SignatureAuth.Key", description="The signing key."
    )
    signature_profile: Annotated[str, Choices("date-value", "date-line", "hmac-sha256")] = Field(
        "date-value",
        alias="EventSender.SignatureAuth.Profile",
        description="What is signed: the Date's value, its header line, or also path and body.",
    )
    request_timeout_s: Annotated[float, Kind("number of seconds")] = Field(
        300,
        alias="EventSender.RequestTimeout",
        gt=0,
        le=86_400,
        description="Seconds from sending a request until its answer must be there.",
    )
    max_wait_time_s: Annotated[float, Kind("number of seconds")] = Field(
        600,
        alias="EventSender.MaxWaitTime",
        gt=0,
        le=86_400,
        description="Seconds from a batch's last request until all its answers must be there.",
    )
    token_burstiness: int = Field(
        100,
        alias="EventSender.TokenBurstiness",
        ge=1,
        le=1_000_000,
        description="Most requests in any one second, in async mode.",
    )
    token_refill: float = Field(
        10,
        alias="EventSender.TokenRate",
        gt=0,
        le=1_000_000,
        description="Requests a second in the long run, in async mode; fractions allowed.",
    )
    with_unique_id: bool = Field(
        default=True,
        alias="EventSender.WithUniqueID",
        description="Send i_event, by which receivers tell repeats.",
    )
    success_codes_text: Annotated[
        str, Kind("status codes"), AfterValidator(checks.success_codes)
    ] = Field(
        "200",
        alias="EventSender.SuccessCodes",
        description="Answers that finish an event, such as 200,202 or 2xx.",
    )
    temporary_codes_text: Annotated[
        str, Kind("status codes"), AfterValidator(checks.temporary_codes)
    ] = Field(
        "",
        alias="EventSender.TemporaryCodes",
        description="4xx answers after which to try again, such as 408,425,429.",
    )
    body_style: Annotated[str, Choices("espf", "nsps")] = Field(
        "espf",
        alias="EventSender.BodyStyle",
        description="espf: the event alone; nsps: in an envelope, with the account as it is now.",
    )
    body_template: Annotated[
        str, Kind("Jinja2 template"), Lines(), AfterValidator(checks.body_template)
    ] = Field(
        "",
        alias="EventSender.BodyTemplate",
        description="What to send instead of that: JSON with values put in, such as "
        '{"sub":{{ variables.i_account }}}.',
    )
    allowed_networks_text: Annotated[str, Kind("networks"), AfterValidator(checks.networks)] = (
        Field(
            "",
            alias="EventSender.AllowedNetworks",
            description="Networks the receiver must be in, such as 10.0.0.0/8; empty: any usual.",
        )
    )
    tls_ca_file: Annotated[str, Kind("file")] = Field(
        "",
        alias="EventSender.TLS.CAFile",
        description="PEM file of the authorities to trust; empty: the system's.",
    )
    tls_cert_file: Annotated[str, Kind("file"), NeededWhen("EventSender.TLS.KeyFile")] = Field(
        "", alias="EventSender.TLS.CertFile", description="PEM file of our client certificate."
    )
    tls_key_file: Annotated[str, Kind("file")] = Field(
        "",
        alias="EventSender.TLS.KeyFile",
        description="PEM file of its key; empty: the certificate's file holds it.",
    )
    tls_verify: bool = Field(
        default=True,
        alias="EventSender.TLS.Verify",
        description="Check the receiver's certificate and name.",
    )

    # ---- what they stand for ----

    @property
    def url(self) -> Url:
        """The receiver's address, taken apart."""
        return parse_url(self.url_text)

    @property
    def allowed_types(self) -> frozenset[str] | None:
        """Names to send (v1 canonical, or v2 under APIVersion 2); None for all."""
        return allowed_names(self.allowed_types_text, self.api_version)

    @property
    def allowed_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """Networks that the receiver must be in; none for the default policy."""
        return tuple(ip_network(text) for text in split_patterns(self.allowed_networks_text))

    @property
    def in_flight(self) -> int:
        """Most requests open at once on one instance (domain, 2.2)."""
        return self.concurrency * self.window if self.async_mode else self.concurrency

    @property
    def leased_whole(self) -> bool:
        """In sync mode Concurrency holds for the fleet, so one instance sends (domain, 2.2)."""
        return not self.async_mode

    @property
    def token_rate(self) -> float | None:
        """Requests a second over the whole fleet; None in sync mode, which has no bucket."""
        return self.token_refill if self.async_mode else None

    @property
    def token_burst(self) -> int:
        """Most requests in any one second: never below the rate (design, token bucket)."""
        return max(self.token_burstiness, math.ceil(self.token_refill))

    @property
    def max_wait_s(self) -> float:
        """`EventSender.MaxWaitTime`, seconds."""
        return self.max_wait_time_s

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every secret in use, also as it goes over the wire, for masking what receivers echo."""
        keys = (self.basic_key, self.custom_credentials, self.signature_key)
        found = [key.get_secret_value() for key in keys if key is not None]
        if self.basic_key is not None:
            pair = f"{self.basic_user}:{self.basic_key.get_secret_value()}"
            found.append(b64encode(pair.encode()).decode())
        return tuple(filter(None, found))
