"""Options of PyHSS: what is refused, and with which words."""

import pytest

from espf.errors import ConfigError
from espf.handlers.options import read_options, secret_names
from espf.handlers.pyhss.profile import Profile
from espf.handlers.pyhss.settings import PyhssSettings
from espf.handlers.types import handler_type

NEEDED: dict[str, object] = {"PyHSS.URL": "https://10.0.0.5/hss", "PyHSS.DefaultAPN": 2}


def read(**options: object) -> PyhssSettings:
    given = {f"PyHSS.{name}": value for name, value in options.items()}
    return read_options(PyhssSettings, NEEDED | given, "PyHSS")


def test_url_and_default_apn_are_enough():
    settings = read()

    assert (settings.url.host, settings.url.path) == ("10.0.0.5", "/hss")
    assert settings.profile("LTE") == Profile(2, "2", 999_999, 999_999)
    assert settings.in_flight == 1
    assert not settings.ims
    assert secret_names(PyhssSettings) == {"PyHSS.ProvisioningKey"}


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("URL", "ftp://x/", "must begin with http"),
        ("URL", "http://169.254.169.254/", "must name another host"),
        ("ProvisioningKey", "a b", "visible ASCII"),
        ("DefaultAPN", 0, "at least 1"),
        ("DefaultAPN", "internet", "whole number"),
        ("APNList", "internet", "must be ids of APNs with commas"),
        ("APNList", "1,", "must be ids of APNs with commas"),
        ("APNList", "1,3", "must hold the default APN 2; 1,3 does not"),
        ("APNList", ",".join(map(str, range(1, 60))), "longer than 64 characters"),
        ("AMBRDownlink", 2**32, "at most 4294967295"),
        ("IMSIPattern", "00101*, abc", "must be IMSIs with *"),
        ("IFCPath", "", "IFCPath"),
        ("Products", "no json", "it is no JSON"),
        ("Products", "[1]", "must be a JSON object, such as"),
        ("Products", '{"LTE":7}', "must be a JSON object, such as"),
        ("Products", '{"LTE":{"ue_ambr_d":1}}', "unknown field ue_ambr_d for LTE; did you mean"),
        ("Products", '{"LTE":{"ue_ambr_dl":"fast"}}', "must be a whole number from 1"),
        ("Products", '{"LTE":{"ue_ambr_dl":true}}', "must be a whole number from 1"),
        ("Products", '{"LTE":{"default_apn":3}}', "must hold the default APN 3; 2 does not"),
        ("Products", '{"LTE":{"apn_list":"a"}}', "must be ids of APNs"),
        ("APN", "1", "is not an option of PyHSS"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_reason(name, value, why):
    with pytest.raises(ConfigError, match=why):
        read(**{name: value})


def test_a_product_changes_what_it_names_and_nothing_else():
    products = '{"LTE XL":{"default_apn":3,"apn_list":"3, 2","ue_ambr_ul":7}}'
    settings = read(Products=products, APNList="2,4", AMBRDownlink=5)

    assert settings.profile("LTE XL") == Profile(3, "3,2", 5, 7)
    assert settings.profile("LTE") == settings.profile(None) == Profile(2, "2,4", 5, 999_999)


def test_what_is_risky_is_warned_of():
    kind = handler_type("PyHSS")

    assert kind.warnings(read(ProvisioningKey="k")) == []
    (warned,) = kind.warnings(read(ProvisioningKey="k", URL="http://10.0.0.5:8080"))
    assert "in clear" in warned
    assert "takes them from anyone" in kind.warnings(read())[0]
    assert "TLS.Verify is off" in kind.warnings(read(**{"TLS.Verify": False}))[0]
