"""An nginx on loopback that answers 200 to everything and counts requests; wrk to compare with."""

import contextlib
import re
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CONF = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{ return 200; }}
        location = /count {{ stub_status; }}
    }}
}}
"""


def require(*programs: str) -> None:
    """End with a clear message when a program that the benchmark needs is not installed."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        raise SystemExit(f"needs {', '.join(missing)}: apt-get install nginx-light wrk")


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@dataclass(frozen=True)
class Receiver:
    """The running nginx."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def count(self) -> int:
        """Requests answered so far, this one left out."""
        with urllib.request.urlopen(f"{self.url}count", timeout=5) as answer:
            text = answer.read().decode()
        found = re.search(r"requests\n\s*\d+ \d+ (\d+)", text)
        assert found is not None, text
        return int(found[1]) - 1

    def wrk(self, script: Path, seconds: int, connections: int = 64) -> float:
        """Requests a second of wrk with one thread."""
        out = subprocess.run(
            ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "-s", str(script), self.url],
            capture_output=True,
            text=True,
            check=True,
            timeout=seconds + 30,
        ).stdout
        found = re.search(r"Requests/sec:\s+([\d.]+)", out)
        assert found is not None, out
        return float(found[1])


@contextlib.contextmanager
def nginx(folder: Path) -> Iterator[Receiver]:
    """Run nginx in `folder` until the block ends."""
    port = free_port()
    conf = folder / "nginx.conf"
    conf.write_text(CONF.format(folder=folder, port=port))
    process = subprocess.Popen(["nginx", "-p", str(folder), "-c", str(conf)])
    try:
        receiver = Receiver(port)
        for _ in range(100):
            with contextlib.suppress(OSError):
                receiver.count()
                break
            time.sleep(0.05)
        yield receiver
    finally:
        process.terminate()
        process.wait(10)


def wrk_script(folder: Path, body: str, user: str, key_base64: str) -> Path:
    """A wrk script that POSTs `body` with the headers that espf sends."""
    script = folder / "post.lua"
    script.write_text(
        'wrk.method = "POST"\n'
        f"wrk.body = [[{body}]]\n"
        'wrk.headers["Content-Type"] = "application/json"\n'
        f'wrk.headers["Authorization"] = "{user} {key_base64}"\n'
        'wrk.headers["Date"] = "Thu, 12 Apr 2018 15:24:00 GMT"\n'
    )
    return script
