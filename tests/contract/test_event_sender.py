"""EventSender against a real HTTP server on loopback: what it sends, what it makes of answers."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from espf import __version__
from espf.errors import ConfigError, HandlerError
from espf.events.model import Event
from espf.handlers.event_sender.handler import EventSenderType
from espf.handlers.options import read_options
from espf.handlers.port import (
    Attempt,
    Delivered,
    Handler,
    HandlerContext,
    Iteration,
    Outcome,
    Rejected,
    RetryLater,
    Skipped,
    Unknown,
)
from espf.handlers.types import handler_type

HANDBOOK_US = 1523546640 * 1_000_000
DATE = "Thu, 12 Apr 2018 15:24:00 GMT"
BLOCKED = Event(
    7615, 3, "Account/Blocked", "account", 1000889, 9, "2018-04-12 15:24:00",
    '{"i_account":1000889,"prev_blocked":"N","curr_blocked":"Y"}', False,
)  # fmt: skip
BASIC = {"EventSender.BasicAuth.User": "username", "EventSender.BasicAuth.Key": "secret"}


class StillClock:
    """Wall time stands where it is put; waiting is real."""

    def __init__(self, now_us: int = HANDBOOK_US) -> None:
        self.us = now_us

    def now_us(self) -> int:
        return self.us

    def monotonic(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass
class Request:
    line: str
    headers: list[tuple[str, str]]
    body: bytes

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]


Answer = bytes | None
"""What the receiver says; None: it says nothing and keeps the connection; b"" closes it."""


@dataclass
class Receiver:
    port: int = 0
    answer: Answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    requests: list[Request] = field(default_factory=list)
    done: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                line, *rest = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
                headers = [(h.split(": ", 1)[0], h.split(": ", 1)[1]) for h in rest]
                request = Request(line, headers, b"")
                request.body = await reader.readexactly(int(request.values("content-length")[0]))
                self.requests.append(request)
                if self.answer is None:
                    await self.done.wait()
                    break
                writer.write(self.answer)
                await writer.drain()
                if not self.answer or b"Connection: close" in self.answer:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        receiver.done.set()
        server.close()
        await server.wait_closed()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


StartHandler = Callable[..., Handler]


@pytest.fixture
async def start(receiver: Receiver) -> AsyncIterator[StartHandler]:
    """Start EventSenders with these options, against the receiver unless a URL is given."""
    started: list[Handler] = []

    def starting(
        options: dict[str, object] | None = None,
        *,
        path: str = "/",
        clock: StillClock | None = None,
        subscriptions: frozenset[str] = frozenset(("all",)),
    ) -> Handler:
        raw: dict[str, object] = {
            "EventSender.URL": f"http://127.0.0.1:{receiver.port}{path}",
            "EventSender.APIVersion": 1,
        }
        kind = handler_type("EventSender")
        settings = read_options(kind.settings, raw | (options or BASIC), kind.name)
        context = HandlerContext("test", clock or StillClock())
        started.append(kind.start(settings, subscriptions, context))
        return started[-1]

    yield starting
    for handler in started:
        await handler.close()


async def deliver(handler: Handler, event: Event = BLOCKED) -> Outcome:
    return await handler.deliver(event, Attempt(1, Iteration(1)))


# ---- the request ----


async def test_a_request_is_a_post_with_these_headers_and_no_others(
    receiver: Receiver, start: StartHandler
) -> None:
    await deliver(start(path="/hss/events?x=1"))
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


async def test_each_attempt_has_its_own_date(receiver: Receiver, start: StartHandler) -> None:
    clock = StillClock()
    handler = start(clock=clock)
    await deliver(handler)
    clock.us += 1_000_000
    await deliver(handler)
    dates = [request.values("Date") for request in receiver.requests]
    assert dates == [[DATE], ["Thu, 12 Apr 2018 15:24:01 GMT"]]


async def test_a_version_1_body_holds_the_events_variables(
    receiver: Receiver, start: StartHandler
) -> None:
    outcome = await deliver(start())
    assert receiver.requests[0].body == (
        b'{"event_type":"Account/Blocked","variables":{"i_env":3,"i_event":7615,'
        b'"event_time":"2018-04-12 15:24:00","i_account":1000889,'
        b'"prev_blocked":"N","curr_blocked":"Y"}}'
    )
    assert isinstance(outcome, Delivered)
    assert outcome.request == receiver.requests[0].body.decode()


async def test_a_version_2_body_says_what_to_read(receiver: Receiver, start: StartHandler) -> None:
    await deliver(start({**BASIC, "EventSender.APIVersion": 2}))
    assert receiver.requests[0].body == (
        b'{"event_type":"Subscriber/Updated","variables":{"i_account":1000889,"i_event":7615}}'
    )


async def test_a_name_in_any_script_arrives_as_utf_8(
    receiver: Receiver, start: StartHandler
) -> None:
    name = "Zoë 😀 شركة"
    variables = json.dumps({"name": name}, ensure_ascii=False)
    await deliver(start(), BLOCKED._replace(event_type="Customer/New", variables=variables))
    assert name.encode() in receiver.requests[0].body


async def test_without_unique_id_i_event_is_left_out(
    receiver: Receiver, start: StartHandler
) -> None:
    await deliver(start({**BASIC, "EventSender.WithUniqueID": "off"}))
    assert "i_event" not in json.loads(receiver.requests[0].body)["variables"]


async def test_the_older_name_is_sent_to_whoever_subscribed_by_it(
    receiver: Receiver, start: StartHandler
) -> None:
    handler = start(subscriptions=frozenset(("Account/Id/Changed",)))
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
    receiver: Receiver, start: StartHandler, options: dict[str, object], value: str
) -> None:
    assert isinstance(await deliver(start(options)), Delivered)
    (request,) = receiver.requests
    assert request.values("Authorization") == [value]
    assert value.count(" ") == 1
    assert request.values("Date") == [DATE]


async def test_hmac_sha256_signs_path_date_and_body(
    receiver: Receiver, start: StartHandler
) -> None:
    options = {
        "EventSender.AuthMethod": "Signature",
        "EventSender.SignatureAuth.KeyId": "test",
        "EventSender.SignatureAuth.Key": "signature_key",
        "EventSender.SignatureAuth.Profile": "hmac-sha256",
    }
    await deliver(start(options, path="/events?a=b"))
    (request,) = receiver.requests
    digest = "SHA-256=" + base64.b64encode(hashlib.sha256(request.body).digest()).decode()
    line = f"(request-target): post /events?a=b\ndate: {DATE}\ndigest: {digest}"
    assert request.values("Digest") == [digest]
    (value,) = request.values("Authorization")
    assert value.startswith('Signature keyId="test",algorithm="hmac-sha256",')
    assert 'headers="(request-target) date digest"' in value
    assert f'signature="{signed(line, b"signature_key", "sha256")}"' in value


async def test_no_method_sends_no_header(receiver: Receiver, start: StartHandler) -> None:
    await deliver(start({"EventSender.AuthMethod": "None"}))
    assert receiver.requests[0].values("Authorization") == []
    assert receiver.requests[0].values("Date") == [DATE]


async def test_the_header_can_have_another_name(receiver: Receiver, start: StartHandler) -> None:
    await deliver(start({**BASIC, "EventSender.AuthHeader": "X-Auth"}))
    assert receiver.requests[0].values("Authorization") == []
    assert receiver.requests[0].values("X-Auth") == ["Basic dXNlcm5hbWU6c2VjcmV0"]


# ---- answers: each row of the table in domain, 2.5 ----


def http(status: int, body: str = "", *lines: str) -> bytes:
    head = "".join(f"{line}\r\n" for line in lines)
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{head}\r\n{body}".encode()


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, Delivered),
        (201, RetryLater),
        (202, RetryLater),
        (204, RetryLater),
        (301, RetryLater),
        (302, RetryLater),
        (304, RetryLater),
        (400, Rejected),
        (401, Rejected),
        (404, Rejected),
        (408, Rejected),
        (422, Rejected),
        (429, Rejected),
        (499, Rejected),
        (500, RetryLater),
        (503, RetryLater),
        (599, RetryLater),
    ],
)
async def test_a_code_decides(
    receiver: Receiver, start: StartHandler, status: int, expected: type
) -> None:
    receiver.answer = http(status)
    outcome = await deliver(start())
    assert type(outcome) is expected
    assert outcome.code == status
    assert outcome.request == receiver.requests[0].body.decode()


@pytest.mark.parametrize(
    ("success", "temporary", "status", "expected"),
    [
        ("200,202", "", 202, Delivered),
        ("2xx", "", 204, Delivered),
        ("202", "", 200, RetryLater),
        ("200", "408,425,429", 429, RetryLater),
        ("200", "4xx", 404, RetryLater),
        ("200", "429", 404, Rejected),
    ],
)
async def test_the_codes_are_options(
    receiver: Receiver,
    start: StartHandler,
    success: str,
    temporary: str,
    status: int,
    expected: type,
) -> None:
    receiver.answer = http(status)
    codes = {"EventSender.SuccessCodes": success, "EventSender.TemporaryCodes": temporary}
    assert type(await deliver(start({**BASIC, **codes}))) is expected


@pytest.mark.parametrize(
    ("status", "value", "seconds"),
    [
        (503, "120", 120),
        (429, "7", 7),
        (503, "Thu, 12 Apr 2018 15:25:00 GMT", 60),
        (503, "soon", None),
    ],
)
async def test_retry_after_is_honoured(
    receiver: Receiver, start: StartHandler, status: int, value: str, seconds: float | None
) -> None:
    receiver.answer = http(status, "", f"Retry-After: {value}")
    outcome = await deliver(start({**BASIC, "EventSender.TemporaryCodes": "429"}))
    assert isinstance(outcome, RetryLater)
    assert outcome.retry_after_s == seconds


async def test_redirects_are_not_followed(receiver: Receiver, start: StartHandler) -> None:
    receiver.answer = http(307, "", f"Location: http://127.0.0.1:{receiver.port}/other")
    assert isinstance(await deliver(start()), RetryLater)
    assert len(receiver.requests) == 1


async def test_an_answer_is_kept_without_the_secrets_it_echoes(
    receiver: Receiver, start: StartHandler
) -> None:
    ki = "0123456789abcdef0123456789ABCDEF"
    receiver.answer = http(400, f"no: secret dXNlcm5hbWU6c2VjcmV0 ki={ki} " + "x" * 5000)
    outcome = await deliver(start())
    assert isinstance(outcome, Rejected)
    assert outcome.answer.startswith("no: ")
    for kept_secret in ("secret", "dXNlcm5hbWU6c2VjcmV0", ki):
        assert kept_secret not in str(outcome)
    assert len(outcome.answer) <= 4200


async def test_a_key_typed_into_a_name_is_sent_but_not_logged(
    receiver: Receiver, start: StartHandler
) -> None:
    ki = "0123456789abcdef0123456789ABCDEF"
    event = BLOCKED._replace(event_type="Customer/New", variables=f'{{"name":"{ki}"}}')
    outcome = await deliver(start(), event)
    assert ki in receiver.requests[0].body.decode()
    assert ki not in str(outcome)
    assert json.loads(outcome.request)["variables"]["name"] == "***"


async def test_a_refused_connection_is_retried_and_said_to_be_refused(
    start: StartHandler,
) -> None:
    async with receiving() as gone:
        port = gone.port
    outcome = await deliver(start({**BASIC, "EventSender.URL": f"http://127.0.0.1:{port}"}))
    assert isinstance(outcome, RetryLater)
    assert outcome.refused
    assert outcome.request.startswith('{"event_type":"Account/Blocked"')


async def test_an_unknown_host_is_retried(start: StartHandler) -> None:
    outcome = await deliver(start({**BASIC, "EventSender.URL": "http://no-such-host.invalid"}))
    assert isinstance(outcome, RetryLater)


async def test_a_forbidden_address_is_retried_and_nothing_is_sent(
    receiver: Receiver, start: StartHandler
) -> None:
    outcome = await deliver(start({**BASIC, "EventSender.AllowedNetworks": "10.0.0.0/8"}))
    assert isinstance(outcome, RetryLater)
    assert receiver.requests == []


async def test_a_failed_handshake_is_retried(receiver: Receiver, start: StartHandler) -> None:
    url = f"https://127.0.0.1:{receiver.port}"
    outcome = await deliver(
        start({**BASIC, "EventSender.URL": url, "EventSender.RequestTimeout": 2})
    )
    assert isinstance(outcome, RetryLater)


async def test_a_broken_answer_is_retried(receiver: Receiver, start: StartHandler) -> None:
    receiver.answer = b"SSH-2.0-OpenSSH_9.6\r\n\r\n"
    outcome = await deliver(start())
    assert isinstance(outcome, RetryLater)


async def test_no_answer_in_time_is_unknown(receiver: Receiver, start: StartHandler) -> None:
    receiver.answer = None
    outcome = await deliver(start({**BASIC, "EventSender.RequestTimeout": 0.2}))
    assert isinstance(outcome, Unknown)
    assert len(receiver.requests) == 1


async def test_the_end_of_the_batch_ends_the_wait(receiver: Receiver, start: StartHandler) -> None:
    receiver.answer = None
    iteration = Iteration(0)
    iteration.ends_at = StillClock().monotonic() + 0.2
    outcome = await start().deliver(BLOCKED, Attempt(1, iteration))
    assert isinstance(outcome, Unknown)


@pytest.mark.parametrize(
    "part", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nab"]
)
async def test_a_connection_lost_after_sending_is_unknown(
    receiver: Receiver, start: StartHandler, part: bytes
) -> None:
    receiver.answer = part
    outcome = await deliver(start())
    assert isinstance(outcome, Unknown)
    assert len(receiver.requests) == 1


async def test_an_answer_without_a_length_and_with_close_is_fine(
    receiver: Receiver, start: StartHandler
) -> None:
    receiver.answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nfine"
    outcome = await deliver(start())
    assert isinstance(outcome, Delivered)
    assert outcome.answer == "fine"


# ---- what is not sent ----


async def test_an_event_without_counterpart_ends_finished(start: StartHandler) -> None:
    handler = start({**BASIC, "EventSender.APIVersion": 2})
    screened = handler.screen(BLOCKED._replace(event_type="Connection/New", entity="connection"))
    assert screened == Skipped("Connection/New has no counterpart in APIVersion 2", finished=True)


async def test_a_filtered_event_is_skipped(start: StartHandler) -> None:
    handler = start({**BASIC, "EventSender.AllowedTypes": "Customer/*"})
    assert handler.screen(BLOCKED) == Skipped("filtered by EventSender.AllowedTypes")
    assert handler.screen(BLOCKED._replace(event_type="Customer/Blocked")) is None


async def test_an_event_that_cannot_be_a_body_is_rejected_and_not_sent(
    receiver: Receiver, start: StartHandler
) -> None:
    handler = start({**BASIC, "EventSender.APIVersion": 2})
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


async def test_a_certificate_file_that_is_missing_stops_the_start(start: StartHandler) -> None:
    options = {"EventSender.URL": "https://h", "EventSender.TLS.CAFile": "/nowhere/ca.pem"}
    with pytest.raises(HandlerError, match=r"/nowhere/ca\.pem"):
        start({**BASIC, **options})
