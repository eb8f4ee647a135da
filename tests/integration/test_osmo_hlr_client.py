"""The client of the control interface against servers that lie, cut answers up and go away."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import uvloop

from espf.handlers.contract.failures import NotNow, Unclear
from espf.handlers.osmo_hlr.client import CtrlClient, CtrlError
from espf.handlers.osmo_hlr.frames import Frames, frame
from espf.handlers.osmo_hlr.listing import Vty

Answering = Callable[[str, asyncio.StreamWriter], None]


class Server:
    """Answers each command as a test says; keeps what it was sent."""

    def __init__(self, answer: Answering) -> None:
        self.answer = answer
        self.commands: list[str] = []
        self.connections = 0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        frames = Frames()
        with contextlib.suppress(ConnectionError):
            while received := await reader.read(4096):
                for text in frames.feed(received):
                    self.commands.append(text)
                    self.answer(text, writer)


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(serve: Serve) -> AsyncIterator[int]:
    """Serve on a free port; ends when all that connected have gone."""
    open_: set[asyncio.StreamWriter] = set()
    none_left = asyncio.Event()
    none_left.set()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_.add(writer)
        none_left.clear()
        try:
            await serve(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            open_.discard(writer)
            if not open_:
                none_left.set()

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        await none_left.wait()
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def serving(answer: Answering) -> AsyncIterator[tuple[Server, CtrlClient]]:
    made = Server(answer)
    async with listening(made.serve) as made.port:
        client = CtrlClient("127.0.0.1", made.port, 0.3)
        yield made, client
        await client.close()


def reply(text: str, value: str = "OK") -> bytes:
    verb, number, variable = text.split(" ")[:3]
    return frame(f"{verb}_REPLY {number} {variable} {value}")


async def test_answers_are_matched_by_number_whatever_lies_between_and_however_they_are_cut():
    held: list[bytes] = []

    def answer(text: str, writer: asyncio.StreamWriter) -> None:
        held.append(reply(text, text.split(" ")[2].upper()))
        if len(held) == 3:
            noise = frame("TRAP 0 net.0.x 1") + b"\x00\x01\xfe\x00"
            for byte in noise + noise.join(reversed(held)):
                writer.write(bytes([byte]))

    async with serving(answer) as (server, client):
        found = await asyncio.gather(*(client.get(name) for name in ("a", "b", "c")))

    assert found == ["A", "B", "C"]
    assert server.connections == 1


async def test_an_error_is_told_in_the_servers_words():
    def answer(text: str, writer: asyncio.StreamWriter) -> None:
        writer.write(frame(f"ERROR {text.split(' ')[1]} No such subscriber."))

    async with serving(answer) as (_, client):
        with pytest.raises(CtrlError, match=r"No such subscriber\."):
            await client.get("x")


async def test_a_set_without_an_answer_is_unclear_and_the_next_waits_until_it_is_through():
    silent = True

    def answer(text: str, writer: asyncio.StreamWriter) -> None:
        if not silent:
            writer.write(reply(text))

    async with serving(answer) as (server, client):
        with pytest.raises(Unclear, match=r"did not answer SET x within 0\.3 s"):
            await client.set("x", "secret")
        with pytest.raises(NotNow, match="SET y was not sent"):
            await client.set("y", "1")
        silent = False
        assert await client.get("z") == "OK"
        assert await client.set("y", "1") == "OK"

    assert server.commands == ["SET 1 x secret", "GET 2 z", "SET 3 y 1"]
    assert server.connections == 1


async def test_a_late_answer_is_nobodys():
    late: list[bytes] = []

    def answer(text: str, writer: asyncio.StreamWriter) -> None:
        if not late:
            late.append(reply(text, "old"))
        else:
            writer.write(late[0] + reply(text, "new"))

    async with serving(answer) as (_, client):
        with pytest.raises(Unclear):
            await client.get("x")
        assert await client.get("x") == "new"


@pytest.mark.parametrize("verb", ["GET", "SET"])
async def test_a_connection_that_ends_before_the_answer_is_repeated_for_a_get_only(verb):
    def answer(text: str, writer: asyncio.StreamWriter) -> None:
        if server.connections == 1:
            writer.close()
        else:
            writer.write(reply(text))

    async with serving(answer) as (server, client):
        if verb == "GET":
            assert await client.get("x") == "OK"
        else:
            with pytest.raises(Unclear, match="was closed by it, before it answered SET x"):
                await client.set("x", "secret")
            assert await client.set("x", "secret") == "OK"

    assert server.connections == 2


@pytest.mark.parametrize(
    "answered", [frame("HTTP/1.1 400 Bad Request"), b"HTTP/1.1 400 Bad Request\r\n\r\n" * 4000]
)
async def test_a_port_where_something_else_listens_is_told_of(answered):
    async with serving(lambda _text, writer: writer.write(answered)) as (_, client):
        with pytest.raises(Unclear, match=r"is not the control interface's|did not answer"):
            await client.set("x", "1")


async def test_an_answer_of_another_kind_is_unclear():
    def answer(text: str, writer: asyncio.StreamWriter) -> None:
        writer.write(reply(text.replace("SET", "GET")))

    async with serving(answer) as (_, client):
        with pytest.raises(Unclear, match="answered SET x as if it were GET x"):
            await client.set("x", "secret")


async def test_nothing_is_sent_when_the_lease_has_ended():
    async with serving(lambda text, writer: writer.write(reply(text))) as (server, _):
        client = CtrlClient("127.0.0.1", server.port, 0.3, may_send=lambda: False)
        assert await client.get("x") == "OK"
        with pytest.raises(NotNow, match="lease"):
            await client.set("x", "1")
        await client.close()

    assert server.commands == ["GET 1 x"]


async def test_without_a_server_the_refusal_is_for_everyone():
    async with serving(lambda text, writer: writer.write(reply(text))) as (server, _):
        port = server.port
    client = CtrlClient("127.0.0.1", port, 0.3)
    with pytest.raises(NotNow, match=f"no connection to osmo-hlr at 127.0.0.1:{port}") as raised:
        await client.get("x")
    assert raised.value.refused


@pytest.mark.parametrize(
    "scenario",
    [
        test_answers_are_matched_by_number_whatever_lies_between_and_however_they_are_cut,
        test_a_set_without_an_answer_is_unclear_and_the_next_waits_until_it_is_through,
        test_without_a_server_the_refusal_is_for_everyone,
    ],
)
def test_it_is_the_same_on_the_engines_own_loop(scenario):
    uvloop.run(scenario())


# ---- the list of subscribers ----


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (b"1 300 001010000000001 - CSPS\r\nSubscribers Shown: 2\r\n", "shows 2 subscribers, and"),
        (b"1 300 001010000000001 - CSPS\r\n", "was silent for too long"),
        (b"Password: \r\n", "a password"),
        (b"% Unknown command.\r\n", "lists no subscribers"),
    ],
)
async def test_a_list_that_is_not_whole_is_no_list(said, problem):
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        while await reader.read(4096):
            pass

    async with listening(serve) as port:
        vty = Vty("127.0.0.1", port, 0.2)
        with pytest.raises(NotNow, match=problem):
            _ = [imsi async for imsi in vty.imsis()]
