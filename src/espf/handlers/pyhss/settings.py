"""Every option of the PyHSS handler (domain, 6.5)."""

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo

from espf.delivery.model import Target
from espf.events.patterns import matches, split_patterns
from espf.handlers.contract import option_checks
from espf.handlers.contract.settings import StateSettings
from espf.handlers.marks import Kind
from espf.handlers.pyhss.profile import MAX_RATE, Profile, allowed, of_product, parse_products

_OF_ALL = ("default_apn", "apn_list_text", "ambr_downlink", "ambr_uplink")
"""Fields that make the profile of every product; each is read before what depends on it."""


def _apns(text: str, info: ValidationInfo) -> str:
    default = info.data.get("default_apn")
    return text if default is None or not text else allowed(text, default)


def _products(text: str, info: ValidationInfo) -> str:
    products = parse_products(text)
    if all(name in info.data for name in _OF_ALL):
        default = _default(*(info.data[name] for name in _OF_ALL))
        for given in products.values():
            of_product(default, given)
    return text


def _default(default_apn: int, apn_list_text: str, downlink: int, uplink: int) -> Profile:
    return Profile(default_apn, apn_list_text or str(default_apn), downlink, uplink)


class PyhssSettings(StateSettings):
    """Options of a PyHSS. The names in quotes are the ones that operators write."""

    url_text: Annotated[str, Kind("http(s) URL"), AfterValidator(option_checks.url)] = Field(
        alias="PyHSS.URL",
        description="The HSS's API service, such as http://10.0.0.5:8080.",
    )
    provisioning_key: Annotated[SecretStr | None, AfterValidator(option_checks.optional_secret)] = (
        Field(
            None,
            alias="PyHSS.ProvisioningKey",
            description="Its `provisioning_key`; needed while its `lock_provisioning` is on.",
        )
    )
    request_timeout_s: Annotated[float, Kind("number of seconds")] = Field(
        10,
        alias="PyHSS.RequestTimeout",
        gt=0,
        le=600,
        description="Seconds from sending a request until its answer must be there.",
    )
    imsi_patterns_text: Annotated[
        str, Kind("IMSI patterns"), AfterValidator(option_checks.imsi_patterns)
    ] = Field(
        "",
        alias="PyHSS.IMSIPattern",
        description="IMSIs that this HSS has, such as 00101*, 00102*; empty: all.",
    )
    default_apn: int = Field(
        alias="PyHSS.DefaultAPN",
        ge=1,
        description="Id of the APN that subscribers have by default; it must exist on the HSS.",
    )
    apn_list_text: Annotated[str, Kind("ids of APNs"), AfterValidator(_apns)] = Field(
        "",
        alias="PyHSS.APNList",
        description="Ids of all APNs that subscribers may use, such as 1,2; empty: the default.",
    )
    ambr_downlink: int = Field(
        999_999,
        alias="PyHSS.AMBRDownlink",
        ge=1,
        le=MAX_RATE,
        description="Their aggregate downlink bit rate (`ue_ambr_dl`), in PyHSS's unit.",
    )
    ambr_uplink: int = Field(
        999_999,
        alias="PyHSS.AMBRUplink",
        ge=1,
        le=MAX_RATE,
        description="Their aggregate uplink bit rate (`ue_ambr_ul`), in PyHSS's unit.",
    )
    products_text: Annotated[str, Kind("JSON"), AfterValidator(_products)] = Field(
        "{}",
        alias="PyHSS.Products",
        description="What is other for some products: name → default_apn, apn_list, ue_ambr_….",
    )
    ims: bool = Field(
        default=False,
        alias="PyHSS.IMS",
        description="Make an IMS subscriber of each as well, for voice.",
    )
    ifc_path: Annotated[str, Kind("file")] = Field(
        "default_ifc.xml",
        alias="PyHSS.IFCPath",
        min_length=1,
        description="Template of its initial filter criteria, as a path on the HSS.",
    )
    sh_template_path: Annotated[str, Kind("file")] = Field(
        "",
        alias="PyHSS.ShTemplatePath",
        description="Template of its Sh profile, as a path on the HSS; empty: PyHSS's own.",
    )
    tls_ca_file: Annotated[str, Kind("file")] = Field(
        "",
        alias="PyHSS.TLS.CAFile",
        description="PEM file of the authorities to trust; empty: the system's.",
    )
    tls_verify: bool = Field(
        default=True,
        alias="PyHSS.TLS.Verify",
        description="Check the certificate and name of what serves it by https.",
    )

    # ---- what they stand for ----

    @property
    def url(self) -> Target:
        """The address, taken apart."""
        return Target.from_url(self.url_text)

    @property
    def secrets(self) -> tuple[str, ...]:
        """To be masked in whatever the HSS says."""
        return (self.provisioning_key.get_secret_value(),) if self.provisioning_key else ()

    def concerns(self, imsi: str) -> bool:
        """Whether the IMSI belongs to this HSS."""
        patterns = split_patterns(self.imsi_patterns_text)
        return not patterns or any(matches(pattern, imsi) for pattern in patterns)

    def profile(self, product: str | None) -> Profile:
        """What a subscriber of this product has."""
        default = _default(
            self.default_apn, self.apn_list_text, self.ambr_downlink, self.ambr_uplink
        )
        return of_product(default, parse_products(self.products_text).get(product or "", {}))
