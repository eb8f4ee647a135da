"""Who may read the metrics, and where they may be served."""

import pytest
from pydantic import SecretStr

from espf.config import load_config
from espf.errors import ConfigError
from espf.listening import host_and_port
from espf.metrics.access import may_read

TOKEN = SecretStr("a-token-of-16-chars")
BEARER = {"authorization": "Bearer a-token-of-16-chars"}


@pytest.mark.parametrize("client", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_this_machine_itself_may(client: str) -> None:
    assert may_read(client, {}, None)
    assert may_read(client, {}, TOKEN)


@pytest.mark.parametrize("client", ["10.0.0.1", "::2", "::ffff:10.0.0.1", "", "testserver"])
def test_others_need_the_token(client: str) -> None:
    assert not may_read(client, {}, None)
    assert not may_read(client, {}, TOKEN)
    assert not may_read(client, BEARER, None)
    assert may_read(client, BEARER, TOKEN)


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "x-real-ip", "via"])
def test_a_proxy_on_this_machine_speaks_for_others(header: str) -> None:
    assert not may_read("127.0.0.1", {header: "127.0.0.1"}, None)
    assert may_read("127.0.0.1", {header: "10.0.0.1", **BEARER}, TOKEN)


@pytest.mark.parametrize(
    "sent",
    ["", "Bearer", "Bearer ", "Basic a-token-of-16-chars", "Bearer a-token-of-16-char", "Bearer ü"],
)
def test_a_wrong_token_is_none(sent: str) -> None:
    assert not may_read("10.0.0.1", {"authorization": sent}, TOKEN)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("127.0.0.1:9464", ("127.0.0.1", 9464)),
        ("[::1]:0", ("::1", 0)),
        ("metrics.example:80", ("metrics.example", 80)),
    ],
)
def test_an_address_to_serve_on_is_a_host_and_a_port(text: str, place: tuple[str, int]) -> None:
    assert host_and_port(text) == place
    assert load_config({"ESPF_METRICS": text}, {"metrics": text}).metrics_address == place


@pytest.mark.parametrize(
    "text", ["9464", ":9464", "localhost", "::1:9464", "h:65536", "h:-1", "h:٣"]
)
def test_anything_else_is_refused_with_the_right_form(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ESPF_METRICS", text)
    with pytest.raises(ConfigError, match=r"metrics.*(HOST:PORT|65535)"):
        load_config()


def test_a_short_token_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESPF_METRICS_TOKEN", "short-1")
    with pytest.raises(ConfigError, match="16 characters") as error:
        load_config()
    assert "short-1" not in str(error.value)
