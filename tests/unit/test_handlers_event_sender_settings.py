"""EventSender's options: the handbook's names and defaults, and what they stand for."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espf.errors import ConfigError
from espf.handlers.event_sender.advice import warnings
from espf.handlers.event_sender.settings import EventSenderSettings
from espf.handlers.event_sender.url import Url, parse_url
from espf.handlers.options import describe, read_options

HANDBOOK = {  # domain, 2.1: name → default
    "Concurrency": 1,
    "EventSender.AllowedTypes": "",
    "EventSender.APIVersion": 2,
    "EventSender.AsyncMode": True,
    "EventSender.AuthHeader": "Authorization",
    "EventSender.AuthMethod": "Basic",
    "EventSender.BasicAuth.User": "",
    "EventSender.BasicAuth.Key": None,
    "EventSender.CustomAuth.Type": "",
    "EventSender.CustomAuth.Credentials": None,
    "EventSender.SignatureAuth.KeyId": "",
    "EventSender.SignatureAuth.Key": None,
    "EventSender.MaxWaitTime": 600,
    "EventSender.RequestTimeout": 300,
    "EventSender.TokenBurstiness": 100,
    "EventSender.TokenRate": 10,
    "EventSender.URL": None,
    "EventSender.WithUniqueID": True,
}
ADDED = {
    "EventSender.SuccessCodes": "200",
    "EventSender.TemporaryCodes": "",
    "EventSender.SignatureAuth.Profile": "date-value",
    "EventSender.BodyStyle": "espf",
    "EventSender.BodyTemplate": "",
    "EventSender.Window": 256,
    "EventSender.AllowedNetworks": "",
    "EventSender.TLS.CAFile": "",
    "EventSender.TLS.CertFile": "",
    "EventSender.TLS.KeyFile": "",
    "EventSender.TLS.Verify": True,
    "Breaker.Failures": 20,
    "Breaker.ProbeInterval": 5,
    "Retry.FirstDelay": 60,
    "Retry.Factor": 2,
    "Retry.MaxDelay": 3600,
    "Retry.Jitter": 0.2,
    "Retry.GiveUpAfter": 86400,
    "Retry.MaxAttempts": 0,
}


def settings(**changed: object) -> EventSenderSettings:
    raw: dict[str, object] = {"EventSender.URL": "http://h", "EventSender.AuthMethod": "None"}
    raw |= {f"EventSender.{name}": value for name, value in changed.items()}
    return read_options(EventSenderSettings, raw, "EventSender")


def test_options_and_defaults_are_the_handbooks_and_the_added_ones() -> None:
    found = {option.name: option.default for option in describe(EventSenderSettings)}
    assert found == HANDBOOK | ADDED


def test_in_sync_mode_concurrency_is_the_number_of_open_requests() -> None:
    made = settings(AsyncMode="off")
    assert made.in_flight == 1
    assert made.token_rate is None


def test_in_async_mode_each_task_has_a_window() -> None:
    raw = {"EventSender.URL": "http://h", "EventSender.AuthMethod": "None", "Concurrency": 3}
    made = read_options(EventSenderSettings, raw, "EventSender")
    assert made.in_flight == 768
    assert (made.token_rate, made.token_burst) == (10, 100)


@pytest.mark.parametrize(("rate", "burst", "used"), [(2.5, 1, 3), (0.5, 1, 1), (50, 100, 100)])
def test_the_burst_is_never_below_the_rate(rate: float, burst: int, used: int) -> None:
    assert settings(TokenRate=rate, TokenBurstiness=burst).token_burst == used


def test_max_wait_time_is_the_batchs_limit() -> None:
    assert settings(MaxWaitTime=7).max_wait_s == 7


def test_allowed_types_are_version_1_names_under_version_1() -> None:
    made = settings(APIVersion=1, AllowedTypes="Account/Id/Changed Customer/B*")
    assert made.allowed_types == {
        "Account/ID/Changed",
        "Customer/Blocked",
        "Customer/BalanceChanged",
    }


def test_allowed_types_are_version_2_names_under_version_2() -> None:
    made = settings(AllowedTypes="Customer/*, SIM/Replaced")
    assert made.allowed_types == {
        "Customer/Created",
        "Customer/Updated",
        "Customer/Deleted",
        "SIM/Replaced",
    }


def test_no_allowed_types_means_all() -> None:
    assert settings().allowed_types is None
    assert settings(AllowedTypes=" , ").allowed_types is None


def test_networks_are_read() -> None:
    made = settings(AllowedNetworks="10.0.0.0/8, fd00::/8 127.0.0.1")
    assert made.allowed_networks == (
        ip_network("10.0.0.0/8"),
        ip_network("fd00::/8"),
        ip_network("127.0.0.1/32"),
    )


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://hss", ("http", "hss", 80, "/")),
        ("HTTPS://Hss.Example/", ("https", "hss.example", 443, "/")),
        ("http://127.0.0.1:5000", ("http", "127.0.0.1", 5000, "/")),
        ("http://[::1]:8080/a/b?c=d&e", ("http", "::1", 8080, "/a/b?c=d&e")),
        ("http://[2001:DB8:0::1]", ("http", "2001:db8::1", 80, "/")),
        ("http://h?x=1", ("http", "h", 80, "/?x=1")),
        ("http://h:/x", ("http", "h", 80, "/x")),
        ("http://bücher.example/ü", ("http", "xn--bcher-kva.example", 80, "/%C3%BC")),
        ("http://my_host/%20%zz", ("http", "my_host", 80, "/%20%zz")),
        ("http://h/a?b=http://c:99999/@", ("http", "h", 80, "/a?b=http://c:99999/@")),
    ],
)
def test_a_url_is_taken_apart(text: str, url: tuple[str, str, int, str]) -> None:
    assert parse_url(text) == Url(*url)


@pytest.mark.parametrize(
    "text",
    [
        "", "hss.example", "//h", "ftp://h", "http:/h", "http://", "http://:80", "http:///x",
        "http://user:geheim@h", "http://geheim@h/x", "http://h#frag", "http://h/#", "http://h:0",
        "http://h:65536", "http://h:abc", "http://h:-1", "http://h:8\uff10", "http://h h", "http://h\t",
        " http://h", "http://h\x00", "http://h\n", "http://h\x85/", "http://h\u2028/",
        "http://127.0.0.256", "http://127.1", "http://1", "http://[::1", "http://::1",
        "http://[fe80::1%25eth0]", "http://[127.0.0.1]", "http://[v1.x]", "http://a..b", "http://-a",
        "http://a-", "http://" + "a" * 64, "http://" + "a." * 130 + "b", "http://h\\@evil",
        "http://a,b", "http://a*", "http://\u00ad",
    ],
)  # fmt: skip
def test_a_bad_url_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(must|has)") as caught:
        parse_url(text)
    assert "geheim" not in str(caught.value)


@given(st.text(max_size=30))
def test_whatever_passes_as_a_url_is_fit_for_a_request(rest: str) -> None:
    try:
        url = parse_url(f"http://{rest}")
    except ValueError:
        return
    assert url.path.startswith("/")
    assert url.path.isascii()
    assert not set(url.path + url.host) & set(" \r\n\t\x00#@/?\\") - set("/?@")
    assert url.host.isascii()
    assert 1 <= url.port <= 65535


@pytest.mark.parametrize("host", ["169.254.169.254", "0.0.0.0", "[fe80::1]", "[::ffff:a9fe:a9fe]"])
def test_a_url_that_is_never_connected_to_is_refused(host: str) -> None:
    with pytest.raises(ConfigError, match=r"EventSender\.URL must name another host.* is always"):
        settings(URL=f"http://{host}/")


def test_nothing_usual_is_warned_of() -> None:
    assert warnings(settings()) == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"TokenRate": 50.5, "TokenBurstiness": 10}, "the rate is used: 51 requests"),
        ({"WithUniqueID": "off"}, "APIVersion 2 requires i_event"),
        ({"WithUniqueID": "off", "APIVersion": 1}, "receivers cannot tell repeats."),
        (
            {"URL": "http://127.0.0.1", "AllowedNetworks": "10.0.0.0/8"},
            "Nothing can be sent: 127.0.0.1 is outside the allowed networks",
        ),
        ({"TLS.Verify": False}, "EventSender.TLS.Verify is off"),
        ({"TLS.CAFile": "/nowhere/ca.pem", "URL": "https://h"}, "no file /nowhere/ca.pem"),
        (
            {
                "AuthMethod": "Signature",
                "SignatureAuth.KeyId": "k",
                "SignatureAuth.Key": "s",
                "SignatureAuth.Profile": "hmac-sha256",
            },
            "split the value at spaces",
        ),
    ],
)
def test_what_is_risky_is_warned_of(changed: dict[str, object], words: str) -> None:
    raw: dict[str, object] = {"EventSender.URL": "http://h", "EventSender.AuthMethod": "None"}
    raw |= {f"EventSender.{name}": value for name, value in changed.items()}
    (found,) = warnings(read_options(EventSenderSettings, raw, "EventSender"))
    assert words in found


def test_tls_options_without_https_are_warned_of() -> None:
    found = warnings(
        read_options(
            EventSenderSettings,
            {
                "EventSender.URL": "http://h",
                "EventSender.AuthMethod": "None",
                "EventSender.TLS.CertFile": __file__,
            },
            "EventSender",
        )
    )
    assert found == ["EventSender.TLS options have no effect: EventSender.URL is not https."]
