"""CPU per request of our HTTP client beside aiohttp's, against an nginx that this starts itself.

    python benchmarks/http_client.py [--requests 60000] [--connections 64] [--tls]

Each client POSTs the same small event over the same number of kept-alive connections, in turns,
three times; the best turn of each counts, since other work on the machine only ever adds.
"""

import argparse
import asyncio
import contextlib
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import aiohttp
import uvloop

from espf.clock import SystemClock
from espf.delivery.http import ClientOptions, HttpClient, Target, TlsOptions
from espf.handlers.port import Iteration

BODY = b'{"event_type":"Account/Blocked","variables":{"i_event":7615,"i_account":1000889}}'
HEADERS = {
    "Date": "Thu, 12 Apr 2018 15:24:00 GMT",
    "Content-Type": "application/json",
    "Authorization": "Basic dXNlcm5hbWU6c2VjcmV0",
}
HEAD = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items()).encode()
TURNS = 3
CONF = """\
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 100000000;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  server {{ listen 127.0.0.1:{port} {listen}; {tls} location / {{ return 200; }} }}
}}
"""


class Turn(NamedTuple):
    rate: float
    """Requests a second."""
    cpu_us: float
    """CPU of the client's process per request, user and system."""
    user_us: float


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def certificate(folder: Path) -> str:
    import trustme  # noqa: PLC0415 - a test dependency, needed for --tls alone

    authority = trustme.CA()
    leaf = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    leaf.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    leaf.private_key_pem.write_to_path(str(folder / "key.pem"))
    return f"ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;"


@contextlib.contextmanager
def nginx(folder: Path, *, tls: bool) -> Iterator[int]:
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    port = free_port()
    conf = folder / "nginx.conf"
    ours = certificate(folder) if tls else ""
    listen = "ssl" if tls else ""
    conf.write_text(CONF.format(folder=folder, port=port, tls=ours, listen=listen))
    server = subprocess.Popen([program, "-p", str(folder), "-c", str(conf)], stderr=subprocess.PIPE)
    try:
        wait_for(port, server)
        yield port
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=10)


def wait_for(port: int, server: "subprocess.Popen[bytes]") -> None:
    for _ in range(500):
        if server.poll() is not None:
            sys.exit("nginx did not start; is nginx-light installed?")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.01)
    sys.exit("nginx did not listen within 5 s")


async def measured(post: Callable[[], Awaitable[int]], requests: int, connections: int) -> Turn:
    async def work(count: int) -> None:
        for _ in range(count):
            if await post() != 200:
                raise SystemExit("nginx did not answer 200")

    await asyncio.gather(*(work(1) for _ in range(connections)))
    share = requests // connections
    before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    await asyncio.gather(*(work(share) for _ in range(connections)))
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    done = share * connections
    return Turn(done / seconds, (user + system) / done * 1e6, user / done * 1e6)


async def ours(url: str, requests: int, connections: int, ca_file: str | None) -> Turn:
    options = ClientOptions(tls=TlsOptions(ca_file), max_connections=connections)
    client = HttpClient(Target.from_url(url), options, SystemClock())
    iteration = Iteration(0)

    async def post() -> int:
        return (await client.post(HEAD, BODY, 300.0, iteration)).status

    try:
        return await measured(post, requests, connections)
    finally:
        await client.close()


async def theirs(url: str, requests: int, connections: int, ca_file: str | None) -> Turn:
    context = ssl.create_default_context(cafile=ca_file)
    connector = aiohttp.TCPConnector(limit=connections, ssl=context)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def post() -> int:
            async with session.post(url, data=BODY, headers=HEADERS) as response:
                await response.read()
                return response.status

        return await measured(post, requests, connections)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--requests", type=int, default=60_000)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--tls", action="store_true")
    given = parser.parse_args()
    turns: dict[str, list[Turn]] = {}
    with tempfile.TemporaryDirectory() as name, nginx(Path(name), tls=given.tls) as port:
        url = f"{'https' if given.tls else 'http'}://127.0.0.1:{port}/events"
        ca_file = f"{name}/ca.pem" if given.tls else None
        for _ in range(TURNS):
            for client in (ours, theirs):
                for loop, factory in (("uvloop", uvloop.new_event_loop), ("asyncio", None)):
                    count = given.requests if client is ours else given.requests // 6
                    with asyncio.Runner(loop_factory=factory) as runner:
                        turn = runner.run(client(url, count, given.connections, ca_file))
                    turns.setdefault(f"{client.__name__} on {loop}", []).append(turn)
    report(turns)


def report(turns: dict[str, list[Turn]]) -> None:
    best = {name: min(mine, key=lambda turn: turn.cpu_us) for name, mine in turns.items()}
    print(f"{'client':20} {'requests/s':>12} {'us CPU/request':>16} {'of it user':>12}")
    for name, turn in best.items():
        shown = name.replace("theirs", "aiohttp").replace("ours", "espf")
        print(f"{shown:20} {turn.rate:12,.0f} {turn.cpu_us:16.1f} {turn.user_us:12.1f}")
    for loop in ("uvloop", "asyncio"):
        ratio = best[f"theirs on {loop}"].cpu_us / best[f"ours on {loop}"].cpu_us
        print(f"on {loop}, aiohttp takes {ratio:.1f} times the CPU")


if __name__ == "__main__":
    main()
