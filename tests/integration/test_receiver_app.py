"""`espf receiver` as a process of its own, on a real socket."""

import asyncio
import base64
import io
import json
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest

COMMAND = [sys.executable, "-c", "from espf.cli.receiver import receiver_app; receiver_app()"]
DATE = {"Date": "Thu, 12 Apr 2018 15:24:00 GMT"}


class Running(NamedTuple):
    process: subprocess.Popen[str]
    url: str

    def stop(self, by: signal.Signals = signal.SIGTERM) -> tuple[int, str, str]:
        self.process.send_signal(by)
        out, err = self.process.communicate(timeout=20)
        return self.process.returncode, out, err


Start = Callable[..., Running]


@contextmanager
def receiver(*arguments: str) -> Iterator[Running]:
    process = subprocess.Popen(
        [*COMMAND, "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        line = process.stdout.readline()
        assert line.startswith("listening on http://127.0.0.1:"), line + process.stderr.read()
        yield Running(process, line.split()[-1])
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stdout.close()
        process.stderr.close()


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as stack:
        yield lambda *arguments: stack.enter_context(receiver(*arguments))


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(headers=DATE) as session:
        yield session


def event(i_event: object) -> dict[str, Any]:
    return {"event_type": "Account/Blocked", "variables": {"i_event": i_event, "i_account": 1}}


def basic(pair: str) -> str:
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


async def post(
    client: aiohttp.ClientSession, url: str, i_event: object = 1, **more: Any
) -> tuple[int, Any]:
    async with client.post(url, json=event(i_event), **more) as answer:
        return answer.status, await answer.json()


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


async def test_an_event_is_answered_200_and_printed(
    start: Start, client: aiohttp.ClientSession
) -> None:
    running = start()
    assert await post(client, running.url + "hook?x=1") == (200, {})
    _, out, err = running.stop()
    (entry,) = lines(out)
    assert entry["event"] == event(1)
    assert (entry["status"], entry["duplicate"], entry["target"]) == (200, False, "/hook?x=1")
    assert entry["time"].endswith("Z")
    assert err == ""


async def test_a_repeat_is_told_by_number_or_text(
    start: Start, client: aiohttp.ClientSession
) -> None:
    running = start()
    assert await post(client, running.url, 5) == (200, {})
    assert await post(client, running.url, "5") == (200, {"duplicate": True})
    assert [entry["duplicate"] for entry in lines(running.stop()[1])] == [False, True]


async def test_a_recorded_repeat_is_known_after_a_restart(
    start: Start, client: aiohttp.ClientSession, tmp_path: Path
) -> None:
    record = tmp_path / "got.jsonl"
    for _ in range(2):
        running = start("--record", str(record))
        await post(client, running.url, 5)
        assert running.stop() == (0, "", "")
    assert [entry["duplicate"] for entry in lines(record.read_text())] == [False, True]


async def test_basic_is_demanded_and_its_password_never_written(
    start: Start, client: aiohttp.ClientSession
) -> None:
    running = start("--auth", "basic", "--user", "espf", "--key", "pass-word")
    right = {"Authorization": basic("espf:pass-word")}
    wrong = {"Authorization": basic("espf:bad-word")}
    assert (await post(client, running.url, headers=right))[0] == 200
    async with client.post(running.url, json=event(2), headers=wrong) as answer:
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    _, out, _ = running.stop()
    assert [entry["status"] for entry in lines(out)] == [200, 401]
    assert out.count('"Basic ***"') == 2
    assert right["Authorization"].split()[1] not in out


async def test_a_request_without_date_is_answered_401(start: Start) -> None:
    running = start()
    async with aiohttp.ClientSession() as client:
        status, body = await post(client, running.url)
    assert status == 401
    assert "Date" in body["error"]


async def test_what_is_no_event_is_refused_with_its_reason(
    start: Start, client: aiohttp.ClientSession
) -> None:
    running = start()
    async with client.post(running.url, json={}) as answer:
        assert answer.status == 400
    async with client.post(running.url, data=io.BytesIO(b"x" * (2 << 20))) as answer:
        assert answer.status == 413
    async with client.get(running.url) as answer:
        assert answer.status == 405
        assert answer.headers["Allow"] == "POST"


async def test_the_first_requests_fail_and_their_repeat_is_no_duplicate(
    start: Start, client: aiohttp.ClientSession
) -> None:
    running = start("--status", "503", "--times", "2")
    answers = [(await post(client, running.url, 9))[0] for _ in range(3)]
    assert answers == [503, 503, 200]
    assert [entry["duplicate"] for entry in lines(running.stop()[1])] == [False, False, False]


async def test_a_dropped_request_gets_no_answer_but_was_acted_upon(
    start: Start, client: aiohttp.ClientSession
) -> None:
    running = start("--drop", "--times", "1")
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", int(running.url.split(":")[-1][:-1])
    )
    body = json.dumps(event(3)).encode()
    head = f"POST / HTTP/1.1\r\nHost: x\r\nDate: {DATE['Date']}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
    assert await post(client, running.url, 3) == (200, {"duplicate": True})
    code, out, err = running.stop()
    assert [entry["status"] for entry in lines(out)] == [None, 200]
    assert (code, err) == (0, "")


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
async def test_a_stop_signal_ends_it_well_even_while_answers_are_delayed(
    start: Start, client: aiohttp.ClientSession, tmp_path: Path, by: signal.Signals
) -> None:
    record = tmp_path / "got.jsonl"
    running = start("--delay", "3000", "--record", str(record))
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(post(client, running.url))
        async with asyncio.timeout(20):
            while not record.read_text():  # noqa: ASYNC110 - a file of another process
                await asyncio.sleep(0.01)
        code, _, err = await asyncio.to_thread(running.stop, by)
    assert (code, err) == (0, "")
    assert waiting.result() == (200, {})


def test_a_port_in_use_is_said_in_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [*COMMAND, "--port", port], capture_output=True, text=True, check=False, timeout=30
        )
    assert done.returncode == 1
    assert f"port {port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_option_ends_with_status_2_and_starts_nothing() -> None:
    done = subprocess.run(
        [*COMMAND, "--auth", "Basic"], capture_output=True, text=True, check=False, timeout=30
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "--user" in done.stderr
