"""Kept-alive connections: reuse, repeat, limits, deadlines, cancellation, on both event loops."""

import asyncio
import gc
import select
import socket
import warnings
from collections.abc import Awaitable, Callable
from typing import Self

import pytest
import uvloop

from espf.clock import SystemClock
from espf.delivery.errors import AnswerTimeout, ConnectFailed, ConnectionLost, ConnectRefused
from espf.delivery.http import ClientOptions, HttpClient, Response, Target
from espf.handlers.port import Iteration

HEAD = b"Content-Type: application/json\r\nX-Try: 1\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LOOPS = {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}
LONG_S = 20.0


@pytest.fixture(params=LOOPS)
def run(request) -> Callable[[Awaitable[None]], None]:
    """Run a coroutine on one of the two loops, and look for what it left behind."""

    def runner(coroutine) -> None:
        with asyncio.Runner(loop_factory=LOOPS[request.param]) as loop:
            loop.run(_alone(coroutine))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            gc.collect()  # an unclosed transport or socket would warn here

    return runner


async def _alone(coroutine) -> None:
    await coroutine
    await asyncio.sleep(0)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left


class Client:
    """A client that is closed at the end, with nothing left open."""

    def __init__(self, url: str, **options) -> None:
        self.may_send: Callable[[], bool] = lambda: True
        self.http = HttpClient(
            Target.from_url(url), ClientOptions(**options), SystemClock(), self._may_send
        )

    def _may_send(self) -> bool:
        return self.may_send()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.http.close()
        assert self.http.connections == 0

    async def post(
        self, body: bytes = b"{}", timeout_s: float = LONG_S, iteration: Iteration | None = None
    ) -> Response:
        return await self.http.post(HEAD, body, timeout_s, iteration or Iteration(0))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the other side is not ours to signal
            await asyncio.sleep(0.002)


def test_requests_one_after_another_share_a_connection(run, hostile) -> None:
    async def play() -> None:
        async with hostile([[[OK]]]) as server, Client(server.url) as client:
            for number in range(20):
                assert await client.post(b"%d" % number) == (200, b"ok", False, None)
            assert server.connections == 1
            assert [request[-1:] for request in server.requests[:10]] == [
                b"%d" % number for number in range(10)
            ]

    run(play())


def test_the_request_on_the_wire_is_line_by_line_what_it_should_be(run, hostile) -> None:
    async def play() -> None:
        async with hostile([[[OK]]]) as server, Client(server.url) as client:
            await client.post(b'{"a":1}')
            assert server.requests == [
                b"POST /hook?x=1 HTTP/1.1\r\n"
                b"Host: 127.0.0.1:%d\r\n"
                b"Content-Type: application/json\r\n"
                b"X-Try: 1\r\n"
                b"Content-Length: 7\r\n"
                b"\r\n"
                b'{"a":1}' % server.port
            ]

    run(play())


@pytest.mark.parametrize("end", ["fin", "reset"])
def test_a_reused_connection_that_ends_unanswered_is_repeated_once_with_the_same_bytes(
    run, hostile, end
) -> None:
    async def play() -> None:
        async with hostile([[[OK], [end]], [[OK]]]) as server, Client(server.url) as client:
            await client.post(b"first")
            assert (await client.post(b"second")).status == 200
            assert server.connections == 2
            assert [request.rpartition(b"\r\n")[2] for request in server.requests] == [
                b"first",
                b"second",
                b"second",
            ]

    run(play())


def test_the_repeat_is_not_repeated(run, hostile) -> None:
    async def play() -> None:
        async with hostile([[[OK], ["fin"]], [["fin"]]]) as server, Client(server.url) as client:
            await client.post()
            with pytest.raises(ConnectionLost):
                await client.post()
            assert server.connections == 2
            assert len(server.requests) == 3

    run(play())


def test_a_repeat_that_finds_nobody_still_says_that_something_was_sent(run) -> None:
    async def play() -> None:
        async def serve_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"{}")
            writer.write(OK)
            await reader.readuntil(b"{}")
            server.close()
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(serve_once, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with Client(f"http://127.0.0.1:{port}/") as client:
            await client.post()
            with pytest.raises(ConnectRefused) as caught:
                await client.post()
            assert caught.value.sent
        await server.wait_closed()

    run(play())


def test_a_fresh_connection_that_ends_unanswered_is_never_repeated(run, hostile) -> None:
    async def play() -> None:
        async with hostile([[["fin"]]]) as server, Client(server.url) as client:
            with pytest.raises(ConnectionLost):
                await client.post()
            assert len(server.requests) == 1

    run(play())


def test_a_reused_connection_that_ends_within_its_answer_is_not_repeated(run, hostile) -> None:
    async def play() -> None:
        answers = [[[OK], [b"H", "fin"]], [[OK]]]
        async with hostile(answers) as server, Client(server.url) as client:
            await client.post()
            with pytest.raises(ConnectionLost) as caught:
                await client.post()
            assert caught.value.sent
            assert server.connections == 1

    run(play())


def test_an_idle_connection_that_the_server_ends_is_dropped_unused(run, hostile) -> None:
    async def play() -> None:
        async with hostile([[[OK, "fin"]]]) as server, Client(server.url) as client:
            for _ in range(3):
                await client.post()
                await until(lambda: client.http.connections == 0)
            assert len(server.requests) == 3

    run(play())


@pytest.mark.parametrize(
    "answer",
    [
        OK + OK,
        OK + b"H",
        OK + b"\x00",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nConnection: keep-alive, close\r\nContent-Length: 2\r\n\r\nok",
    ],
)
def test_a_connection_is_not_kept_after_such_an_answer(run, hostile, answer) -> None:
    async def play() -> None:
        async with hostile([[[answer]]]) as server, Client(server.url) as client:
            assert (await client.post()).body == b"ok"
            assert (await client.post()).body == b"ok"
            assert server.connections == 2

    run(play())


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
    ],
)
def test_a_connection_is_kept_after_such_an_answer(run, hostile, answer) -> None:
    async def play() -> None:
        async with hostile([[[answer]]]) as server, Client(server.url) as client:
            for _ in range(3):
                assert (await client.post()).body == b"ok"
            assert server.connections == 1

    run(play())


def test_bytes_that_nobody_asked_for_close_an_idle_connection(run, hostile) -> None:
    async def play() -> None:
        answers = [[[OK, ("drip", b"     HTTP/1.1 200", 0.002)]], [[OK]]]
        async with hostile(answers) as server, Client(server.url) as client:
            await client.post()
            await until(lambda: client.http.connections == 0)
            assert (await client.post()).body == b"ok"
            assert server.connections == 2

    run(play())


def test_an_answer_of_earlier_bytes_is_not_taken_for_a_later_request(run, hostile) -> None:
    async def play() -> None:
        early = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly"
        async with hostile([[[early]]], read_first=False) as server, Client(server.url) as client:
            try:
                response = await client.post()  # answered before it was asked
            except (ConnectFailed, ConnectionLost):
                return
            assert response.body == b"early"

    run(play())


def test_an_answer_while_the_body_is_still_being_written_counts(run, hostile) -> None:
    async def play() -> None:
        answer = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"
        async with (
            hostile([[["head", answer]]], read_first=False) as server,
            Client(server.url) as client,
        ):
            response = await client.post(b"x" * 8_000_000)
            assert response.status == 413
            await until(lambda: client.http.connections == 0)

    run(play())


def test_there_are_never_more_connections_than_allowed_and_all_are_served(run, hostile) -> None:
    async def play() -> None:
        slow = ("drip", OK, 0.0005)
        async with hostile([[[slow]]]) as server, Client(server.url, max_connections=3) as client:
            responses = await asyncio.gather(*(client.post(b"%d" % n) for n in range(30)))
            assert [response.status for response in responses] == [200] * 30
            assert server.most_open == 3

    run(play())


def test_who_waits_for_a_connection_is_served_in_order(run, hostile) -> None:
    async def play() -> None:
        async with hostile([[[OK]]]) as server, Client(server.url, max_connections=1) as client:
            await asyncio.gather(*(client.post(b"%02d" % n) for n in range(30)))
            assert [int(request[-2:]) for request in server.requests] == list(range(30))

    run(play())


def test_connections_that_break_make_room_for_those_who_wait(run, hostile) -> None:
    async def play() -> None:
        async with hostile([[["fin"]]]) as server, Client(server.url, max_connections=2) as client:
            results = await asyncio.gather(
                *(client.post() for _ in range(12)), return_exceptions=True
            )
            assert {type(result) for result in results} == {ConnectionLost}
            assert server.most_open <= 3  # the server sees an end later than we do

    run(play())


def test_waiting_for_a_free_connection_ends_with_the_deadline(run, hostile) -> None:
    async def play() -> None:
        async with (
            hostile([[["stall"]]]) as server,
            Client(server.url, max_connections=1) as client,
        ):
            first = asyncio.ensure_future(client.post())
            await until(lambda: len(server.requests) == 1)
            with pytest.raises(ConnectFailed) as caught:
                await client.post(timeout_s=0.05)
            assert not caught.value.sent
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)

    run(play())


def test_an_end_set_while_a_request_is_open_ends_it(run, hostile) -> None:
    async def play() -> None:
        async with hostile([[["stall"]]]) as server, Client(server.url) as client:
            iteration = Iteration(0)
            request = asyncio.ensure_future(client.post(iteration=iteration))
            await until(lambda: len(server.requests) == 1)
            assert not request.done()
            iteration.ends_at = SystemClock().monotonic()
            with pytest.raises(AnswerTimeout) as caught:
                await request
            assert caught.value.sent

    run(play())


def test_a_timeout_ends_only_its_own_request(run, hostile) -> None:
    async def play() -> None:
        answers = [[["stall"]], [[OK]]]
        async with hostile(answers) as server, Client(server.url) as client:
            late = asyncio.ensure_future(client.post(timeout_s=0.05))
            await until(lambda: len(server.requests) == 1)
            assert (await client.post()).status == 200
            with pytest.raises(AnswerTimeout):
                await late
            assert (await client.post()).status == 200
            assert server.connections == 2

    run(play())


def test_a_cancelled_request_closes_its_connection_and_leaves_nothing(run, hostile) -> None:
    async def play() -> None:
        async with hostile([[["stall"]]]) as server, Client(server.url) as client:
            request = asyncio.ensure_future(client.post())
            await until(lambda: len(server.requests) == 1)
            request.cancel()
            with pytest.raises(asyncio.CancelledError):
                await request
            await until(lambda: client.http.connections == 0)
            await until(lambda: server.open_now == 0)

    run(play())


def test_cancelling_at_any_moment_loses_no_connection(run, hostile) -> None:
    async def play() -> None:
        async with hostile([[[OK]]]) as server, Client(server.url, max_connections=2) as client:
            for turns in range(40):
                posts = [asyncio.ensure_future(client.post()) for _ in range(5)]
                for _ in range(turns % 20):
                    await asyncio.sleep(0)
                for post in posts[::2]:
                    post.cancel()
                results = await asyncio.gather(*posts, return_exceptions=True)
                assert all(result.status == 200 for result in results[1::2])
                assert client.http.connections <= 2
            assert server.most_open <= 6

    run(play())


def test_an_idle_connection_is_closed_when_its_time_is_over(run, hostile) -> None:
    async def play() -> None:
        async with hostile([[[OK]]]) as server, Client(server.url, idle_timeout_s=0.05) as client:
            await client.post()
            assert client.http.connections == 1
            await until(lambda: client.http.connections == 0)
            assert (await client.post()).status == 200

    run(play())


def test_a_closed_client_fails_what_is_open_and_takes_nothing_new(run, hostile) -> None:
    async def play() -> None:
        async with (
            hostile([[["stall"]]]) as server,
            Client(server.url, max_connections=1) as client,
        ):
            sent = asyncio.ensure_future(client.post())
            waiting = asyncio.ensure_future(client.post())
            await until(lambda: len(server.requests) == 1)
            await client.http.close()
            with pytest.raises(ConnectionLost):
                await sent
            with pytest.raises(ConnectFailed, match="closed"):
                await waiting
            with pytest.raises(ConnectFailed, match="closed"):
                await client.post()

    run(play())


def test_a_port_where_nobody_listens_refuses(run, hostile) -> None:
    async def play() -> None:
        async with hostile([[[OK]]]) as server:
            pass
        async with Client(server.url) as client:
            with pytest.raises(ConnectRefused) as caught:
                await client.post()
            assert not caught.value.sent
            assert "hook" not in str(caught.value)  # a path may carry a token

    run(play())


def test_a_long_answer_is_cut_to_its_first_4096_bytes(run, hostile) -> None:
    async def play() -> None:
        body = bytes(range(256)) * 40
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        async with hostile([[[answer]]]) as server, Client(server.url) as client:
            assert await client.post() == (200, body[:4096], True, None)

    run(play())


def test_retry_after_is_that_of_the_final_answer(run, hostile) -> None:
    async def play() -> None:
        answer = (
            b"HTTP/1.1 103 Early Hints\r\nRetry-After: 1\r\n\r\n"
            b"HTTP/1.1 503 Busy\r\nretry-AFTER:  7 \r\nContent-Length: 15\r\n\r\nRetry-After: 90"
        )
        async with hostile([[[answer]]]) as server, Client(server.url) as client:
            response = await client.post()
            assert (response.status, response.retry_after) == (503, "7")

    run(play())


def test_nothing_is_written_once_it_may_not_be_sent(run, hostile) -> None:
    async def play() -> None:
        async with hostile([[[OK]]]) as server, Client(server.url) as client:
            await client.post()
            client.may_send = lambda: False
            with pytest.raises(ConnectFailed, match="lease") as caught:
                await client.post()
            assert not caught.value.sent
            assert len(server.requests) == 1
            client.may_send = lambda: True
            await client.post()
            assert len(server.requests) == 2

    run(play())


def answer_two(listener: socket.socket) -> list[socket.socket]:
    """Accept two connections and answer a request on each of them."""
    ends = [listener.accept()[0] for _ in range(2)]
    for end in ends:
        end.recv(65536)
        end.sendall(OK)
    return ends


def count_readable(ends: list[socket.socket]) -> int:
    return len(select.select(ends, [], [], 0)[0])


def test_a_request_has_left_before_the_next_is_allowed(run) -> None:
    """Whatever waits in a buffer would leave when a paused process wakes, allowed or not."""

    async def play() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
            async with Client(url) as client, asyncio.TaskGroup() as group:
                posts = [group.create_task(client.post()) for _ in range(2)]
                ends = await asyncio.to_thread(answer_two, listener)
                await asyncio.gather(*posts)
                seen: list[int] = []

                def may_send() -> bool:
                    seen.append(count_readable(ends))
                    return True

                client.may_send = may_send
                posts = [group.create_task(client.post()) for _ in range(2)]
                await asyncio.sleep(0.05)
                for end in ends:
                    end.sendall(OK)
                    end.close()
        assert seen == [0, 1]

    run(play())


def test_another_method_and_path_go_to_the_same_host_over_the_same_connection(run, hostile) -> None:
    async def play() -> None:
        async with hostile([[[OK]]]) as server, Client(server.url) as client:
            await client.post()
            answer = await client.http.request("DELETE", "/row/7?x=1", b"X-Try: 1\r\n", b"", LONG_S)
            assert answer == (200, b"ok", False, None)
            assert server.connections == 1
            assert server.requests[1] == (
                b"DELETE /row/7?x=1 HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
                b"X-Try: 1\r\nContent-Length: 0\r\n\r\n" % server.port
            )

    run(play())


@pytest.mark.parametrize("path", ["row", "", "/a b", "/a\r\nX: 1", "/é"])
def test_a_path_that_would_break_the_request_line_is_refused(run, path) -> None:
    async def play() -> None:
        async with Client("http://127.0.0.1:1/") as client:
            with pytest.raises(ValueError, match="begins with /"):
                await client.http.request("GET", path, b"", b"", LONG_S)

    run(play())
