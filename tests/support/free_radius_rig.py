"""A real radiusd (Debian's freeradius), its tables, those who ask it, and a NAS.

It listens on a loopback address of its own. Import it as `free_radius_rig`.
"""

import asyncio
import contextlib
import hashlib
import hmac
import os
import random
import re
import shutil
import socket
import sqlite3
import struct
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

import psycopg
import pytest

import postgres_rig
from espf.database_url import DatabaseUrl, EngineName, SqliteUrl

SECRET = "testing123"
AUTH, ACCT, COA = 1812, 1813, 3799
QUERIES = Path("/etc/freeradius/3.0/mods-config/sql/main/sqlite")
PROGRAM = shutil.which("freeradius", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
LIMIT_S = 20

SCHEMA = """
CREATE TABLE radcheck (id {key}, username varchar(64) NOT NULL,
  attribute varchar(64) NOT NULL,  op char(2) NOT NULL DEFAULT '==', value varchar(253) NOT NULL);
CREATE TABLE radreply (id {key}, username varchar(64) NOT NULL,
  attribute varchar(64) NOT NULL,  op char(2) NOT NULL DEFAULT '=', value varchar(253) NOT NULL);
CREATE TABLE radgroupcheck (id {key}, groupname varchar(64) NOT NULL,
  attribute varchar(64) NOT NULL,  op char(2) NOT NULL DEFAULT '==', value varchar(253) NOT NULL);
CREATE TABLE radgroupreply (id {key}, groupname varchar(64) NOT NULL,
  attribute varchar(64) NOT NULL,  op char(2) NOT NULL DEFAULT '=', value varchar(253) NOT NULL);
CREATE TABLE radusergroup (id {key}, username varchar(64) NOT NULL, groupname varchar(64) NOT NULL,
  priority integer NOT NULL DEFAULT 1);
CREATE TABLE radacct (radacctid {key}, acctsessionid varchar(64) NOT NULL,
  username varchar(64) NOT NULL, nasipaddress {inet} NOT NULL, acctstoptime {time});
CREATE TABLE nas (id {key}, nasname varchar(128) NOT NULL, secret varchar(60) NOT NULL);
"""
"""What the handler uses of FreeRADIUS's schema, in the types of each engine."""
_TYPES: dict[EngineName, dict[str, str]] = {
    "sqlite": {"key": "INTEGER PRIMARY KEY", "inet": "varchar(15)", "time": "datetime"},
    "postgres": {"key": "serial PRIMARY KEY", "inet": "inet", "time": "timestamp with time zone"},
}
CONFIG = """
prefix = /usr
libdir = /usr/lib/freeradius
localstatedir = {folder}
logdir = {folder}
run_dir = {folder}
max_request_time = 10
cleanup_delay = 2
proxy_requests = no
log {{
    destination = stdout
    auth = yes
}}
security {{
    allow_core_dumps = no
    reject_delay = 0
    status_server = no
}}
thread pool {{
    start_servers = 1
    max_servers = 2
    min_spare_servers = 1
    max_spare_servers = 1
}}
client loopback {{
    ipaddr = 127.0.0.0/8
    secret = {secret}
}}
modules {{
    always ok {{
        rcode = ok
    }}
    expr {{
    }}
    pap {{
    }}
    expiration {{
    }}
    sql {{
        dialect = "sqlite"
        driver = "rlm_sql_sqlite"
        sqlite {{
            filename = "{folder}/radius.db"
            busy_timeout = 5000
            bootstrap = "{queries}/schema.sql"
        }}
        acct_table1 = "radacct"
        acct_table2 = "radacct"
        postauth_table = "radpostauth"
        authcheck_table = "radcheck"
        groupcheck_table = "radgroupcheck"
        authreply_table = "radreply"
        groupreply_table = "radgroupreply"
        usergroup_table = "radusergroup"
        client_table = "nas"
        group_attribute = "SQL-Group"
        read_groups = yes
        pool {{
            start = 1
            min = 1
            max = 2
            spare = 1
        }}
        $INCLUDE {queries}/queries.conf
    }}
}}
instantiate {{
    expr
}}
server default {{
    listen {{
        type = auth
        ipaddr = {host}
        port = {auth}
    }}
    listen {{
        type = acct
        ipaddr = {host}
        port = {acct}
    }}
    authorize {{
        sql
        expiration
        pap
    }}
    authenticate {{
        Auth-Type PAP {{
            pap
        }}
    }}
    preacct {{
        update request {{
            &Acct-Unique-Session-Id := "%{{Acct-Session-ID}}"
        }}
    }}
    accounting {{
        sql
    }}
}}
server nas {{
    listen {{
        type = coa
        ipaddr = {host}
        port = {coa}
    }}
    recv-coa {{
        ok
    }}
    send-coa {{
        ok
    }}
}}
"""


class Tables:
    """FreeRADIUS's tables, as a test looks at them and changes them."""

    def __init__(self, url: DatabaseUrl) -> None:
        self.url = url

    def sql(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run one statement; `?` for parameters."""
        if isinstance(self.url, SqliteUrl):
            with contextlib.closing(self.connect()) as connection:
                return list(connection.execute(sql, parameters))
        with psycopg.connect(self.url.conninfo, autocommit=True) as server:
            cursor = server.execute(sql.replace("?", "%s"), parameters or None)
            return cursor.fetchall() if cursor.description else []

    def connect(self) -> sqlite3.Connection:
        """A connection of one's own to the file."""
        assert isinstance(self.url, SqliteUrl)
        return sqlite3.connect(self.url.path, isolation_level=None, timeout=LIMIT_S)

    def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """What there is of users."""
        return {
            "radcheck": self.sql("SELECT username, attribute, op, value FROM radcheck ORDER BY id"),
            "radreply": self.sql("SELECT username, attribute, op, value FROM radreply ORDER BY id"),
            "radusergroup": self.sql(
                "SELECT username, groupname, priority FROM radusergroup ORDER BY username, priority"
            ),
        }


@contextmanager
def tables(folder: Path, engine: EngineName) -> Iterator[Tables]:
    """FreeRADIUS's tables without FreeRADIUS."""
    script = SCHEMA.format(**_TYPES[engine])
    if engine == "sqlite":
        made = Tables(SqliteUrl(folder / "radius.db"))
        connection = made.connect()
        connection.executescript(script)
        connection.close()
        yield made
        return
    with postgres_rig.empty() as url:
        with psycopg.connect(url.conninfo, autocommit=True) as server:
            server.execute(script)
        yield Tables(url)


# ---- the daemon ----


class Answer(NamedTuple):
    """What it says to an Access-Request."""

    accepted: bool
    attributes: dict[str, str]


class Radiusd:
    """One daemon; it ends with the `with` block."""

    def __init__(self, folder: Path) -> None:
        self.host = ".".join(["127", *(str(random.randint(1, 254)) for _ in range(3))])
        self.tables = Tables(SqliteUrl(folder / "radius.db"))
        ports = {"auth": AUTH, "acct": ACCT, "coa": COA}
        (folder / "radiusd.conf").write_text(
            CONFIG.format(folder=folder, host=self.host, queries=QUERIES, secret=SECRET, **ports)
        )
        self._log = folder / "radiusd.log"
        assert PROGRAM is not None
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [PROGRAM, "-d", folder, "-n", "radiusd", "-f", "-l", "stdout"],
                stdout=log,
                stderr=log,
            )
        ends = time.monotonic() + LIMIT_S
        while "Ready to process requests" not in self._log.read_text():
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < ends, "radiusd is not ready"
            time.sleep(0.02)

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        self._process.kill()
        self._process.wait()

    def radtest(self, user: str, password: str) -> Answer:
        """What the command radtest shows."""
        words = ["radtest", user, password, f"{self.host}:{AUTH}", "0", SECRET]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        received = done.stdout[done.stdout.index("Received Access-") :]
        attributes = dict(re.findall(r"^\t([\w-]+) = \"?(.*?)\"?$", received, re.MULTILINE))
        return Answer(received.startswith("Received Access-Accept"), attributes)

    def accepts(self, user: str, password: str) -> bool:
        """Whether PAP with this very password gets in; radtest knows no quotes."""
        asked = access_request(user, password)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(5)
            client.connect((self.host, AUTH))
            client.send(asked)
            return client.recv(4096)[0] == 2

    def session(self, user: str, number: str, nas: str) -> None:
        """Have a NAS report that a session has begun."""
        given = (
            f'User-Name="{user}",Acct-Status-Type=Start,Acct-Session-Id="{number}",'
            f"NAS-IP-Address={nas}"
        )
        done = subprocess.run(
            ["radclient", f"{self.host}:{ACCT}", "acct", SECRET],
            input=given,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Received Accounting-Response" in done.stdout + done.stderr, done


def access_request(user: str, password: str) -> bytes:
    """RFC 2865, with the password hidden."""
    authenticator = os.urandom(16)
    clear = password.encode()
    clear += bytes(-len(clear) % 16)
    hidden, before = b"", authenticator
    for at in range(0, len(clear), 16):
        pad = hashlib.md5(SECRET.encode() + before).digest()
        before = bytes(a ^ b for a, b in zip(clear[at : at + 16], pad, strict=True))
        hidden += before
    body = b"".join(
        bytes((kind, len(value) + 2)) + value for kind, value in ((1, user.encode()), (2, hidden))
    )
    return struct.pack("!BBH", 1, 1, 20 + len(body)) + authenticator + body


@contextmanager
def radiusd(folder: Path) -> Iterator[Radiusd]:
    """A running daemon. Skips where the packages are not installed, or hide their files."""
    if PROGRAM is None or not shutil.which("radtest"):
        pytest.skip("FreeRADIUS is not installed (apt-get install freeradius freeradius-utils)")
    if not os.access(QUERIES / "schema.sql", os.R_OK):
        pytest.skip(f"{QUERIES} cannot be read by this user (be root, or in the group freerad)")
    server = Radiusd(folder)
    try:
        yield server
    finally:
        server.close()


# ---- a NAS ----


class Nas(asyncio.DatagramProtocol):
    """Takes Disconnect-Requests, checks them for itself, and answers as a test says."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.port = 0
        self.packets: list[bytes] = []
        self.answers: list[tuple[int, bytes] | bytes | None] = []
        """Code and attributes, whole packets, or None for silence; (41, b"") when used up."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.packets.append(data)
        answer = self.answers.pop(0) if self.answers else (41, b"")
        if isinstance(answer, tuple):
            answer = self.signed(data, *answer)
        if answer is not None:
            self._transport.sendto(answer, addr)

    def signed(self, asked: bytes, code: int, attributes: bytes) -> bytes:
        head = struct.pack("!BBH", code, asked[1], 20 + len(attributes))
        sign = hashlib.md5(head + asked[4:20] + attributes + SECRET.encode()).digest()
        return head + sign + attributes

    def close(self) -> None:
        self._transport.close()


@asynccontextmanager
async def nas() -> AsyncIterator[Nas]:
    """On a free port of a loopback address."""
    host = ".".join(["127", *(str(random.randint(1, 254)) for _ in range(3))])
    loop = asyncio.get_running_loop()
    _, made = await loop.create_datagram_endpoint(lambda: Nas(host), local_addr=(host, 0))
    try:
        yield made
    finally:
        made.close()
        await asyncio.sleep(0)


def attributes(packet: bytes) -> dict[int, bytes]:
    """What a packet holds, after both of its signatures are found right."""
    code, _, length = struct.unpack("!BBH", packet[:4])
    assert (code, length) == (40, len(packet))
    unsigned = packet[:4] + bytes(16) + packet[20:]
    assert hashlib.md5(unsigned + SECRET.encode()).digest() == packet[4:20]
    found: dict[int, bytes] = {}
    at = 20
    while at < len(packet):
        end = at + packet[at + 1]
        found[packet[at]] = packet[at + 2 : end]
        if packet[at] == 80:
            unsigned = unsigned[: at + 2] + bytes(16) + unsigned[end:]
        at = end
    assert hmac.new(SECRET.encode(), unsigned, hashlib.md5).digest() == found.pop(80)
    return found
