"""What EventSender makes of answers: each row of the table in domain, 2.5."""

import json

import pytest

from espf.events.model import Event
from espf.handlers.port import (
    Attempt,
    Delivered,
    Handler,
    Iteration,
    Outcome,
    Rejected,
    RetryLater,
    Unknown,
)

BLOCKED = Event(
    7615, 3, "Account/Blocked", "account", 1000889, 9, "2018-04-12 15:24:00",
    '{"i_account":1000889,"prev_blocked":"N","curr_blocked":"Y"}', False,
)  # fmt: skip
BASIC = {"EventSender.BasicAuth.User": "username", "EventSender.BasicAuth.Key": "secret"}


async def deliver(handler: Handler, event: Event = BLOCKED) -> Outcome:
    return await handler.deliver(event, Attempt(1, Iteration(1)))


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
async def test_a_code_decides(receiver, start_sender, status: int, expected: type) -> None:
    receiver.answer = http(status)
    outcome = await deliver(start_sender())
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
    receiver,
    start_sender,
    success: str,
    temporary: str,
    status: int,
    expected: type,
) -> None:
    receiver.answer = http(status)
    codes = {"EventSender.SuccessCodes": success, "EventSender.TemporaryCodes": temporary}
    assert type(await deliver(start_sender({**BASIC, **codes}))) is expected


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
    receiver, start_sender, status: int, value: str, seconds: float | None
) -> None:
    receiver.answer = http(status, "", f"Retry-After: {value}")
    outcome = await deliver(start_sender({**BASIC, "EventSender.TemporaryCodes": "429"}))
    assert isinstance(outcome, RetryLater)
    assert outcome.retry_after_s == seconds


async def test_redirects_are_not_followed(receiver, start_sender) -> None:
    receiver.answer = http(307, "", f"Location: http://127.0.0.1:{receiver.port}/other")
    assert isinstance(await deliver(start_sender()), RetryLater)
    assert len(receiver.requests) == 1


async def test_an_answer_is_kept_without_the_secrets_it_echoes(receiver, start_sender) -> None:
    ki = "0123456789abcdef0123456789ABCDEF"
    receiver.answer = http(400, f"no: secret dXNlcm5hbWU6c2VjcmV0 ki={ki} " + "x" * 5000)
    outcome = await deliver(start_sender())
    assert isinstance(outcome, Rejected)
    assert outcome.answer.startswith("no: ")
    for kept_secret in ("secret", "dXNlcm5hbWU6c2VjcmV0", ki):
        assert kept_secret not in str(outcome)
    assert len(outcome.answer) <= 4200


async def test_a_key_typed_into_a_name_is_sent_but_not_logged(receiver, start_sender) -> None:
    ki = "0123456789abcdef0123456789ABCDEF"
    event = BLOCKED._replace(event_type="Customer/New", variables=f'{{"name":"{ki}"}}')
    outcome = await deliver(start_sender(), event)
    assert ki in receiver.requests[0].body.decode()
    assert ki not in str(outcome)
    assert json.loads(outcome.request)["variables"]["name"] == "***"


async def test_a_refused_connection_is_retried_and_said_to_be_refused(
    start_sender, receiving
) -> None:
    async with receiving() as gone:
        port = gone.port
    outcome = await deliver(start_sender({**BASIC, "EventSender.URL": f"http://127.0.0.1:{port}"}))
    assert isinstance(outcome, RetryLater)
    assert outcome.refused
    assert outcome.request.startswith('{"event_type":"Account/Blocked"')


async def test_an_unknown_host_is_retried(start_sender) -> None:
    outcome = await deliver(
        start_sender({**BASIC, "EventSender.URL": "http://no-such-host.invalid"})
    )
    assert isinstance(outcome, RetryLater)


async def test_a_forbidden_address_is_retried_and_nothing_is_sent(receiver, start_sender) -> None:
    outcome = await deliver(start_sender({**BASIC, "EventSender.AllowedNetworks": "10.0.0.0/8"}))
    assert isinstance(outcome, RetryLater)
    assert receiver.requests == []


async def test_a_failed_handshake_is_retried(receiver, start_sender) -> None:
    receiver.greeting = b"this is no TLS"
    url = f"https://127.0.0.1:{receiver.port}"
    outcome = await deliver(start_sender({**BASIC, "EventSender.URL": url}))
    assert isinstance(outcome, RetryLater)
    assert "TLS" in outcome.reason


async def test_a_broken_answer_is_retried(receiver, start_sender) -> None:
    receiver.answer = b"SSH-2.0-OpenSSH_9.6\r\n\r\n"
    outcome = await deliver(start_sender())
    assert isinstance(outcome, RetryLater)


async def test_no_answer_in_time_is_unknown(receiver, start_sender) -> None:
    receiver.answer = None
    outcome = await deliver(start_sender({**BASIC, "EventSender.RequestTimeout": 0.2}))
    assert isinstance(outcome, Unknown)
    assert len(receiver.requests) == 1


async def test_the_end_of_the_batch_ends_the_wait(receiver, start_sender, clock) -> None:
    receiver.answer = None
    iteration = Iteration(0)
    iteration.ends_at = clock.monotonic() + 0.2
    outcome = await start_sender().deliver(BLOCKED, Attempt(1, iteration))
    assert isinstance(outcome, Unknown)


@pytest.mark.parametrize(
    "part", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nab"]
)
async def test_a_connection_lost_after_sending_is_unknown(
    receiver, start_sender, part: bytes
) -> None:
    receiver.answer = part
    outcome = await deliver(start_sender())
    assert isinstance(outcome, Unknown)
    assert len(receiver.requests) == 1


async def test_an_answer_without_a_length_and_with_close_is_fine(receiver, start_sender) -> None:
    receiver.answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nfine"
    outcome = await deliver(start_sender())
    assert isinstance(outcome, Delivered)
    assert outcome.answer == "fine"
