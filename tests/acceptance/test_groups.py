"""The installed command with service groups, and statuses that are set by hand."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli_rig import ENGINES, Installation, installation


@pytest.fixture(params=ENGINES)
def installed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    with installation(tmp_path, request.param) as made:
        yield made


def test_groups_are_made_and_deleted(installed: Installation):
    assert [one["i_group"] for one in installed.record("groups", "list")] == list(range(1, 9))
    made = installed.record("groups", "create", "Voicemail")
    assert made == {"i_group": 1001, "name": "Voicemail", "is_custom": True}
    again = installed.run("groups", "create", "Voicemail")
    assert "There is a service group Voicemail already" in again.stderr
    installed.ok("registry", "add", "customer", "name=Easy Call")
    installed.ok("registry", "add", "account", "id=1", "i_customer=1")
    installed.ok("registry", "status", "1", "Voicemail", "OK")
    shown = installed.record("registry", "show", "account", "1")["provisioning"]
    assert [(one["group"], one["status"]) for one in shown] == [("Voicemail", "OK")]
    assert "predefined" in installed.run("groups", "delete", "HSS").stderr
    wrong = installed.run("registry", "status", "1", "Voicemai", "OK")
    assert (wrong.returncode, "did you mean Voicemail" in wrong.stderr) == (1, True)
    installed.ok("groups", "delete", "1001")
    assert installed.record("registry", "show", "account", "1")["provisioning"] == []
    installed.ok("registry", "status", "1", "VoIP", "OK")
    installed.ok("registry", "remove", "account", "1")
    assert installed.sql("SELECT * FROM account_status") == []


def test_a_handler_of_a_group_that_is_not_there_is_told_of(installed: Installation) -> None:
    toml = """
[[handler]]
name = "hlr"
type = "OsmoHLR"
subscriptions = "all"
options = { "OsmoHLR.Host" = "127.0.0.1", ServiceGroup = "My HLR" }
"""
    installed.ok("apply", installed.write("handlers.toml", toml))
    told = installed.run("doctor").stdout
    assert "There is no service group My HLR: its results set no status" in told
    assert "espf groups create 'My HLR'" in told

    installed.ok("groups", "create", "My HLR")
    assert "no service group" not in installed.run("doctor").stdout

    wrong = toml.replace("My HLR", " x")
    told = installed.run("apply", installed.write("handlers.toml", wrong)).stderr
    assert "ServiceGroup must be the name of a service group" in told
