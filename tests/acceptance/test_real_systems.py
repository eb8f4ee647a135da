"""The installed command, an osmo-hlr and a FreeRADIUS: an account's life, on both of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli_rig import Installation, until
from free_radius_rig import Radiusd, radiusd
from osmo_hlr_rig import OsmoHlrServer, Row, osmo_hlr

IMSI, OTHER = "001010000000001", "001010000000002"
KI, OPC, PASSWORD = "a" * 32, "b" * 32, "let-me-in"

HANDLERS = """
[[handler]]
name = "hlr"
type = "OsmoHLR"
subscriptions = "all"
options = {{ "OsmoHLR.Host" = "{hlr}" }}

[[handler]]
name = "radius"
type = "FreeRADIUS"
subscriptions = "all"
options = {{ "FreeRADIUS.DatabaseURL" = "{radius}" }}
"""


@pytest.fixture
def hlr(tmp_path: Path) -> Iterator[OsmoHlrServer]:
    with osmo_hlr(tmp_path) as made:
        yield made


@pytest.fixture
def radius(tmp_path: Path) -> Iterator[Radiusd]:
    folder = tmp_path / "radius"
    folder.mkdir()
    with radiusd(folder) as made:
        yield made


def test_an_accounts_life_is_followed_by_hlr_and_radius(tmp_path, hlr, radius):
    espf = Installation(tmp_path)
    toml = espf.write("h.toml", HANDLERS.format(hlr=hlr.host, radius=radius.tables.url))
    espf.ok("apply", toml)
    espf.ok("registry", "add", "customer", "name=Easy Call")
    for imsi in (IMSI, OTHER):
        espf.ok("registry", "add", "sim_card", f"imsi={imsi}", f"ki={KI}", f"opc={OPC}")

    def update(*fields: str) -> None:
        espf.ok("registry", "update", "account", "1", *fields)

    def has(imsi: str, number: str, on: int) -> None:
        row = Row(number, on, on, KI, KI, OPC)
        until(lambda: hlr.rows() == {imsi: row}, f"{imsi} with {number}")

    def lets_in(name: str, wanted: bool) -> None:
        until(lambda: radius.accepts(name, PASSWORD) == wanted, f"{name} in: {wanted}")

    with espf.running("serve", "--port", "0"):
        given = ("id=300", "i_customer=1", f"imsi={IMSI}", f"h323_password={PASSWORD}")
        espf.ok("registry", "add", "account", *given)
        has(IMSI, "300", 1)
        lets_in("300", True)
        update("blocked=Y")
        has(IMSI, "300", 0)
        lets_in("300", False)
        update("blocked=N")
        has(IMSI, "300", 1)
        lets_in("300", True)
        update("id=301")
        has(IMSI, "301", 1)
        lets_in("301", True)
        lets_in("300", False)
        update(f"imsi={OTHER}")
        has(OTHER, "301", 1)
        shown = espf.record("registry", "show", "account", "1")["provisioning"]
        assert [(one["group"], one["status"]) for one in shown] == [
            ("HSS", "OK"),
            ("Netaccess", "OK"),
        ]
        update("bill_status=C")
        until(lambda: hlr.rows() == {}, "nobody at the HLR")
        lets_in("301", False)

    stored = espf.stored()
    assert not [key for key in (KI, OPC, PASSWORD) if key.encode() in stored]
    assert espf.record("events", "list", "--status", "failed") == []
