"""Options of YateHSS: what is refused, and with which words."""

import pytest

from espf.errors import ConfigError
from espf.handlers.configuration import find_type
from espf.handlers.options import read_options, secret_names
from espf.handlers.types import handler_type
from espf.handlers.yate_hss.settings import YateHssSettings
from espf.handlers.yate_hss.template import fill, parse_template

NEEDED: dict[str, object] = {
    "YateHSS.URL": "https://10.0.0.5/api.php",
    "YateHSS.APISecret": "secret",
}


def read(**options: object) -> YateHssSettings:
    given = {f"YateHSS.{name}": value for name, value in options.items()}
    return read_options(YateHssSettings, NEEDED | given, "YateHSS")


def test_url_and_secret_are_enough_and_three_are_worked_on_at_once():
    settings = read()

    assert settings.in_flight == 3
    assert settings.leased_whole
    assert (settings.url.host, settings.url.path) == ("10.0.0.5", "/api.php")
    assert settings.blocked_services == {"cs", "ps", "lte"}
    assert secret_names(YateHssSettings) == {"YateHSS.APISecret"}


def test_more_than_three_at_once_are_refused():
    with pytest.raises(ConfigError, match="Concurrency must be at most 3, not 4"):
        read_options(YateHssSettings, NEEDED | {"Concurrency": 4}, "YateHSS")


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("URL", "ftp://x/", "must begin with http"),
        ("URL", "https://u:p@x/", "no user part"),
        ("URL", "http://169.254.169.254/api.php", "must name another host"),
        ("APISecret", "", "not empty"),
        ("APISecret", "a b", "visible ASCII"),
        ("AuthHeader", "Host", "has a meaning of its own"),
        ("AuthHeader", "X Y", "header's name"),
        ("Node", " ", "must not be empty"),
        ("BlockScope", "cs,voice", "must be some of cs, ps, lte"),
        ("BlockScope", "", "must be some of cs, ps, lte"),
        ("IMSIPattern", "00101*, abc", "must be IMSIs with *"),
        ("RequestTimeout", 0, "more than 0"),
        ("SubscriberTemplate", "no json", "must be a JSON object; it is no JSON"),
        ("SubscriberTemplate", "[1]", "must be a JSON object, such as"),
        ("SubscriberTemplate", '{"a":"$msisd"}', r"unknown field \$msisd; did you mean msisdn\?"),
        ("SubscriberTemplate", '{"a":["x$y"]}', r"unknown field \$y"),
        ("SubscriberTemplate", '{"a":"5 $"}', r"write \$\$ for a dollar sign"),
        ("Template", "{}", "is not an option of YateHSS"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_reason(name, value, why):
    with pytest.raises(ConfigError, match=why):
        read(**{name: value})


def test_a_field_alone_has_its_own_type_and_an_empty_member_is_left_out():
    template = parse_template('{"a":"$active","b":"$active.","c":"$iccid","d":["$iccid",1]}')

    assert fill(template, {"active": 1, "iccid": ""}) == {"a": 1, "b": "1.", "d": [1]}


def test_values_never_become_json():
    template = parse_template('{"a":"$id","b":"<${id}>"}')

    assert fill(template, {"id": '","x":"$msisdn'}) == {
        "a": '","x":"$msisdn',
        "b": '<","x":"$msisdn>',
    }


def test_both_names_of_the_type_are_accepted():
    assert find_type("Yate HSS").name == find_type("YateHSS").name == "YateHSS"


def test_what_is_risky_is_warned_of():
    kind = handler_type("YateHSS")

    assert kind.warnings(read()) == []
    assert "in clear" in kind.warnings(read(URL="http://10.0.0.5/api.php"))[0]
    assert "TLS.Verify is off" in kind.warnings(read(**{"TLS.Verify": False}))[0]
    assert "ReadBack is off" in kind.warnings(read(ReadBack=False))[0]
