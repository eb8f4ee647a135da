"""What EventSender sends, as a real HTTP server on loopback sees it (domain, 2.3 and 2.4)."""

import base64
import hashlib
import hmac
import json

import pytest

from espf import __version__
from espf.errors import ConfigError, HandlerError
from espf.events.model import Event
from espf.handlers.event_sender.handler import EventSenderType
from espf.handlers.options import read_options
from espf.handlers.port import Attempt, Delivered, Handler, Iteration, Outcome, Rejected, Skipped

DATE = "Thu, 12 Apr 2018 15:24:00 GMT"
BLOCKED = Event(
    7615, 3, "Account/Blocked", "account", 1000889, 9, "2018-04-12 15:24:00",
    '{"i_account":1000889,"prev_blocked":"N","curr_blocked":"Y"}', False,
)  # fmt: skip
BASIC = {"EventSender.BasicAuth.User": "username", "EventSender.BasicAuth.Key": "secret"}


async def deliver(handler: Handler, event: Event = BLOCKED) -> Outcome:
    return await handler.deliver(event, Attempt(1, Iteration(1)))


# ---- the request ----


async def test_a_request_is_a_post_with_these_headers_and_no_others(receiver, start_sender) -> None:
    await deliver(start_sender(path="/hss/events?x=1"))
    (request,) = receiver.requests
    assert request.line == "POST /hss/events?x=1 HTTP/1.1"
    assert sorted(request.headers) == sorted(
        [
            ("Host", f"127.0.0.1:{receiver.port}"),
            ("Date", DATE),
            ("Content-Type", "application/json"),
            ("User-Agent", f"espf/{__version__}"),
            ("Authorization", "Basic dXNlcm5hbWU6c2VjcmV0"),
            ("Content-Length", str(len(request.body))),
        ]
    )


async def test_each_attempt_has_its_own_date(receiver, start_sender, clock) -> None:
    handler = start_sender()
    await deliver(handler)
    clock.us += 1_000_000
    await deliver(handler)
    dates = [request.values("Date") for request in receiver.requests]
    assert dates == [[DATE], ["Thu, 12 Apr 2018 15:24:01 GMT"]]


async def test_a_version_1_body_holds_the_events_variables(receiver, start_sender) -> None:
    outcome = await deliver(start_sender())
    assert receiver.requests[0].body == (
        b'{"event_type":"Account/Blocked","variables":{"i_env":3,"i_event":7615,'
        b'"event_time":"2018-04-12 15:24:00","i_account":1000889,'
        b'"prev_blocked":"N","curr_blocked":"Y"}}'
    )
    assert isinstance(outcome, Delivered)
    assert outcome.request == receiver.requests[0].body.decode()


async def test_a_version_2_body_says_what_to_read(receiver, start_sender) -> None:
    await deliver(start_sender({**BASIC, "EventSender.APIVersion": 2}))
    assert receiver.requests[0].body == (
        b'{"event_type":"Subscriber/Updated","variables":{"i_account":1000889,"i_event":7615}}'
    )


async def test_a_name_in_any_script_arrives_as_utf_8(receiver, start_sender) -> None:
    name = "Zoë 😀 شركة"
    variables = json.dumps({"name": name}, ensure_ascii=False)
    await deliver(start_sender(), BLOCKED._replace(event_type="Customer/New", variables=variables))
    assert name.encode() in receiver.requests[0].body


async def test_without_unique_id_i_event_is_left_out(receiver, start_sender) -> None:
    await deliver(start_sender({**BASIC, "EventSender.WithUniqueID": "off"}))
    assert "i_event" not in json.loads(receiver.requests[0].body)["variables"]


async def test_the_older_name_is_sent_to_whoever_subscribed_by_it(receiver, start_sender) -> None:
    handler = start_sender(subscriptions=frozenset(("Account/Id/Changed",)))
    await deliver(handler, BLOCKED._replace(event_type="Account/ID/Changed"))
    assert json.loads(receiver.requests[0].body)["event_type"] == "Account/Id/Changed"


# ---- authentication ----


def signed(text: str, key: bytes, digest: str) -> str:
    return base64.b64encode(hmac.digest(key, text.encode(), digest)).decode()


@pytest.mark.parametrize(
    ("options", "value"),
    [
        (BASIC, "Basic dXNlcm5hbWU6c2VjcmV0"),
        (
            {"EventSender.BasicAuth.User": "zoë", "EventSender.BasicAuth.Key": "a:b c"},
            "Basic " + base64.b64encode("zoë:a:b c".encode()).decode(),
        ),
        (
            {
                "EventSender.AuthMethod": "Custom",
                "EventSender.CustomAuth.Type": "Plain",
                "EventSender.CustomAuth.Credentials": "passexample",
            },
            "Plain passexample",
        ),
        (
            {
                "EventSender.AuthMethod": "Signature",
                "EventSender.SignatureAuth.KeyId": "test",
                "EventSender.SignatureAuth.Key": "signature_key",
            },
            'Signature keyId="test",algorithm="hmac-sha1",signature="+IkiEg9UkyA+gh+pcI64itisKhs="',
        ),
        (
            {
                "EventSender.AuthMethod": "Signature",
                "EventSender.SignatureAuth.KeyId": "test",
                "EventSender.SignatureAuth.Key": "signature_key",
                "EventSender.SignatureAuth.Profile": "date-line",
            },
            'Signature keyId="test",algorithm="hmac-sha1",signature="PqBNwPFenyyITpDILoF2Hi2Vmbs="',
        ),
    ],
    ids=["basic", "basic-utf8", "custom", "signature", "signature-date-line"],
)
async def test_the_authentication_value_is_exact(
    receiver, start_sender, options: dict[str, object], value: str
) -> None:
    assert isinstance(await deliver(start_sender(options)), Delivered)
    (request,) = receiver.requests
    assert request.values("Authorization") == [value]
    assert value.count(" ") == 1
    assert request.values("Date") == [DATE]


async def test_hmac_sha256_signs_path_date_and_body(receiver, start_sender) -> None:
    options = {
        "EventSender.AuthMethod": "Signature",
        "EventSender.SignatureAuth.KeyId": "test",
        "EventSender.SignatureAuth.Key": "signature_key",
        "EventSender.SignatureAuth.Profile": "hmac-sha256",
    }
    await deliver(start_sender(options, path="/events?a=b"))
    (request,) = receiver.requests
    digest = "SHA-256=" + base64.b64encode(hashlib.sha256(request.body).digest()).decode()
    line = f"(request-target): post /events?a=b\ndate: {DATE}\ndigest: {digest}"
    assert request.values("Digest") == [digest]
    (value,) = request.values("Authorization")
    assert value.startswith('Signature keyId="test",algorithm="hmac-sha256",')
    assert 'headers="(request-target) date digest"' in value
    assert f'signature="{signed(line, b"signature_key", "sha256")}"' in value


async def test_no_method_sends_no_header(receiver, start_sender) -> None:
    await deliver(start_sender({"EventSender.AuthMethod": "None"}))
    assert receiver.requests[0].values("Authorization") == []
    assert receiver.requests[0].values("Date") == [DATE]


async def test_the_header_can_have_another_name(receiver, start_sender) -> None:
    await deliver(start_sender({**BASIC, "EventSender.AuthHeader": "X-Auth"}))
    assert receiver.requests[0].values("Authorization") == []
    assert receiver.requests[0].values("X-Auth") == ["Basic dXNlcm5hbWU6c2VjcmV0"]


# ---- what is not sent ----


async def test_an_event_without_counterpart_ends_finished(start_sender) -> None:
    handler = start_sender({**BASIC, "EventSender.APIVersion": 2})
    screened = handler.screen(BLOCKED._replace(event_type="Connection/New", entity="connection"))
    assert screened == Skipped("Connection/New has no counterpart in APIVersion 2", finished=True)


async def test_a_filtered_event_is_skipped(start_sender) -> None:
    handler = start_sender({**BASIC, "EventSender.AllowedTypes": "Customer/*"})
    assert handler.screen(BLOCKED) == Skipped("filtered by EventSender.AllowedTypes")
    assert handler.screen(BLOCKED._replace(event_type="Customer/Blocked")) is None


async def test_an_event_that_cannot_be_a_body_is_rejected_and_not_sent(
    receiver, start_sender
) -> None:
    handler = start_sender({**BASIC, "EventSender.APIVersion": 2})
    for event_type in ("DID/New", "Subscriber/Name/Changed"):
        event = BLOCKED._replace(event_type=event_type, variables='{"i_account":')
        assert handler.screen(event) is None
        outcome = await deliver(handler, event)
        assert isinstance(outcome, Rejected)
        assert "Event 7615" in outcome.reason
    assert receiver.requests == []


# ---- the type ----


def test_subscriptions_are_resolved_to_version_1_types() -> None:
    kind = EventSenderType()
    raw = {"EventSender.URL": "http://h", **BASIC}
    settings = read_options(kind.settings, raw, kind.name)
    assert kind.resolve(settings, ["SIM/Replaced", "Account/Id/Changed"]) == {
        "Account/SIMCardAssignment",
        "Account/ID/Changed",
    }
    assert len(kind.resolve(settings, ["all"])) == 98
    assert "Subscriber/Updated" in kind.event_types(settings)
    with pytest.raises(ConfigError) as caught:
        kind.resolve(settings, ["Subscriber/Update", "Nonsense"])
    assert len(caught.value.problems) == 2


async def test_a_certificate_file_that_is_missing_stops_the_start(start_sender) -> None:
    options = {"EventSender.URL": "https://h", "EventSender.TLS.CAFile": "/nowhere/ca.pem"}
    with pytest.raises(HandlerError, match=r"/nowhere/ca\.pem"):
        start_sender({**BASIC, **options})
