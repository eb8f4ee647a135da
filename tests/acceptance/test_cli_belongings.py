"""What accounts and customers have: from the command line to a version 2 receiver and in search."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli_rig import ENGINES, KEY, Installation, handlers_toml, installation, until

CHANGES = [
    "add customer name=Ann",
    "add account id=100 i_customer=1",
    "add did number=12065550100",
    "update did number=12065550100 i_account=1",
    "add invoice i_customer=1 invoice_number=A-1 amount_net=10",
    "update invoice 1 amount_paid=10 status=paid",
    "add custom_field object=customer name=tax",
    "add custom_field_value i_custom_field=1 i_customer=1 value=unheard-of",
    "update customer 1 city=Oslo",
    "update account 1 email=a@b.example",
    "add follow_me_number i_account=1 redirect_number=5551",
    "add ip_device_profile name=desk",
    "remove did number=12065550100",
]
BODIES = [
    ("Customer/Created", {"i_customer": 1}),
    ("Subscriber/Created", {"i_account": 1}),
    ("DID/Created", {"number": "12065550100"}),
    ("DID/Updated", {"number": "12065550100"}),
    ("Invoice/Created", {"i_customer": 1, "i_invoice": 1}),
    ("Invoice/Updated", {"i_customer": 1, "i_invoice": 1}),
    ("Invoice/Updated", {"i_customer": 1, "i_invoice": 1}),
    ("Customer/Updated", {"i_customer": 1}),
    ("Customer/Updated", {"i_customer": 1}),
    ("Subscriber/Updated", {"i_account": 1}),
    ("Subscriber/Updated", {"i_account": 1}),
    ("DID/Updated", {"number": "12065550100"}),
    ("DID/Deleted", {"number": "12065550100"}),
]
NUMBER = ["Deleted", "Status/Unassigned", "Status/Assigned", "New"]
UNSENT = ["CustomField/Changed", "IPDeviceProfile/New"]


@pytest.fixture(params=ENGINES)
def installed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    with installation(tmp_path, request.param) as made:
        yield made


def received(installed: Installation) -> list[dict[str, object]]:
    path = installed.folder / "received.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line)["event"] for line in lines]


def test_each_change_reaches_a_version_2_receiver_and_is_found_by_its_entity(
    installed: Installation,
) -> None:
    receiver = ["receiver", "--port", "0", "--auth", "Basic", "--user", "espf"]
    receiver += ["--record", "received.jsonl"]
    with installed.running(*receiver, ESPF_RECEIVER_KEY=KEY) as (_, line):
        toml = handlers_toml(line.split()[-1] + "events").replace(
            'subscriptions = ["Account/New", "Account/Blocked", "Account/Unblocked"]',
            'subscriptions = "all"',
        )
        file = toml.replace('APIVersion" = 1', 'APIVersion" = 2')
        installed.ok("apply", installed.write("handlers.toml", file))
        with installed.running("instance"):
            for change in CHANGES:
                installed.ok("registry", *change.split())
            until(lambda: len(received(installed)) >= len(BODIES), "all requests")
    found = sorted(received(installed), key=lambda event: event["variables"]["i_event"])  # type: ignore[index]
    assert [
        (one["event_type"], {k: v for k, v in one["variables"].items() if k != "i_event"})  # type: ignore[attr-defined]
        for one in found
    ] == BODIES
    unsent = [
        one["event_type"]
        for one in installed.record("events", "list", "--limit", "100")
        if "no counterpart in APIVersion 2" in (one["reason"] or "")
    ]
    assert sorted(unsent) == UNSENT
    for entity, types in {
        "did:12065550100": [
            "DID/Deleted",
            "DID/Status/Unassigned",
            "DID/Status/Assigned",
            "DID/New",
        ],
        "invoice:1": ["Invoice/Status/Changed", "Invoice/AmountPaid/Changed", "Invoice/New"],
        "subscriber:2": ["Subscriber/ContactInfo/Changed"],
        "subscriber:3": ["Subscriber/Address/Changed"],
        "custom_field:1": ["CustomField/Changed"],
        "ip_device_profile:1": ["IPDeviceProfile/New"],
    }.items():
        listed = installed.record("events", "list", "--entity", entity)
        assert [one["event_type"] for one in listed] == types
        assert {one["status"] for one in listed} == {"finished"}
    assert "unheard-of" not in json.dumps(installed.record("events", "list", "--limit", "100"))
