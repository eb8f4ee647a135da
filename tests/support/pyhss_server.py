"""A PyHSS as its API service is: a real HTTP server on loopback, over a real SQLite database.

Written by what the real one does (releases 1.0.0 to 1.0.2): what is not found is 200 with `null`
(400 for IMS subscribers), a duplicate is 400 with the statement and its parameters in the text,
what is no JSON is 500, a `PATCH` ignores columns that it does not know, and keys are shown in the
answer that made them only. Import it as `pyhss_server`.
"""

import asyncio
import json
import sqlite3
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from http_far_side import Asked, HttpFarSide, Said, serving, serving_beside

KEY = "provisioning-key-of-the-hss"
TABLES = """
CREATE TABLE apn (apn_id INTEGER PRIMARY KEY, apn TEXT NOT NULL, apn_ambr_dl INTEGER NOT NULL,
    apn_ambr_ul INTEGER NOT NULL, last_modified TEXT);
CREATE TABLE auc (auc_id INTEGER PRIMARY KEY, ki TEXT NOT NULL, opc TEXT NOT NULL,
    amf TEXT NOT NULL, sqn INTEGER, iccid TEXT UNIQUE, imsi TEXT UNIQUE, batch_name TEXT,
    sim_vendor TEXT, esim BOOLEAN DEFAULT 0, pin1 TEXT, puk1 TEXT, adm1 TEXT, last_modified TEXT);
CREATE TABLE subscriber (subscriber_id INTEGER PRIMARY KEY, imsi TEXT UNIQUE,
    enabled BOOLEAN DEFAULT 1, auc_id INTEGER NOT NULL, default_apn INTEGER NOT NULL,
    apn_list TEXT NOT NULL, msisdn TEXT, ue_ambr_dl INTEGER DEFAULT 999999,
    ue_ambr_ul INTEGER DEFAULT 999999, nam INTEGER DEFAULT 0, roaming_enabled BOOLEAN DEFAULT 1,
    roaming_rule_list TEXT, subscribed_rau_tau_timer INTEGER DEFAULT 300, serving_mme TEXT,
    serving_mme_timestamp TEXT, serving_mme_realm TEXT, serving_mme_peer TEXT, last_modified TEXT);
CREATE TABLE ims_subscriber (ims_subscriber_id INTEGER PRIMARY KEY, msisdn TEXT UNIQUE,
    msisdn_list TEXT, imsi TEXT, ifc_path TEXT, xcap_profile TEXT, sh_profile TEXT,
    sh_template_path TEXT, pcscf TEXT, scscf TEXT, last_modified TEXT);
INSERT INTO apn (apn, apn_ambr_dl, apn_ambr_ul) VALUES ('internet', 1, 1), ('ims', 1, 1);
"""
FLAGS = ("enabled", "esim", "roaming_enabled")
HIDDEN = ("opc", "ki", "adm1")
LOOK_UPS = {
    ("auc", "imsi"): "imsi",
    ("auc", "iccid"): "iccid",
    ("subscriber", "imsi"): "imsi",
    ("subscriber", "msisdn"): "msisdn",
    ("ims_subscriber", "ims_subscriber_imsi"): "imsi",
    ("ims_subscriber", "ims_subscriber_msisdn"): "msisdn",
}

Row = dict[str, Any]
Trouble = tuple[int, object] | Literal["hang", "late", "drop"]
"""What happens to a request instead: another status and body, no answer ("late": after doing what
was asked), or a connection that is closed in the middle of the answer ("drop")."""


class NothingFoundError(Exception):
    """What the real one makes of a look-up that finds nothing, or more than one."""


@dataclass
class PyHss(HttpFarSide):
    """The HSS: what it has, what it was asked, what goes wrong."""

    locked: bool = True
    """`lock_provisioning`: changes need the key."""
    shows_keys: bool = False
    """`enable_insecure_auc`."""
    says_500: bool = False
    """What is not found is 500 with a text, as in releases after 1.0.2."""
    pages: bool = True
    """Lists come in pages; before, everything came each time."""
    asked: list[tuple[str, Row | None]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    trouble: dict[str, list[Trouble]] = field(default_factory=dict)
    """By "METHOD table", for its next calls."""
    deaf: set[str] = field(default_factory=set)
    """"METHOD table" that is answered and not carried out."""
    cancelled: list[tuple[str, str]] = field(default_factory=list)
    """(IMSI, MME) of each Cancel-Location that was sent."""
    prefix: str = ""
    """Path of the API at a proxy."""
    port: int = 0
    _came: asyncio.Condition = field(default_factory=asyncio.Condition)

    def __post_init__(self) -> None:
        self.sql = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self.sql.row_factory = sqlite3.Row
        self.sql.executescript(TABLES)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def writes(self) -> list[str]:
        """ "METHOD table" of the requests that change something, in order."""
        return [name for name, _ in self.asked if not name.startswith("GET ")]

    def body(self, name: str) -> Row:
        """Body of the last request of that name."""
        found = [row for asked, row in self.asked if asked == name][-1]
        assert found is not None
        return found

    def rows(self, table: str) -> list[Row]:
        """All rows of a table, keys in clear, as the database has them."""
        found = self.sql.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()
        return [_typed(dict(row)) for row in found]

    def row(self, table: str, imsi: str) -> Row:
        """The row of an IMSI."""
        (found,) = [row for row in self.rows(table) if row["imsi"] == imsi]
        return found

    def attach(self, imsi: str, mme: str = "mme01") -> None:
        """Its phone is in the network."""
        self.sql.execute(
            "UPDATE subscriber SET serving_mme = ?, serving_mme_realm = 'epc' WHERE imsi = ?",
            (mme, imsi),
        )

    async def reached(self, name: str) -> None:
        """Wait until that request has come."""
        async with self._came:
            await self._came.wait_for(lambda: name in self.writes)

    # ---- HTTP ----

    async def answer(self, asked: Asked) -> Said:
        url = urlsplit(asked.path)
        assert url.path.startswith(self.prefix)
        parts = url.path.removeprefix(self.prefix).strip("/").split("/")
        name = f"{asked.method} {parts[0]}"
        self.headers.append(asked.headers)
        self.asked.append((name, _json(asked.body)))
        async with self._came:
            self._came.notify_all()
        if self.locked and asked.method != "GET" and asked.headers.get("provisioning-key") != KEY:
            return 401, {"Result": "Unauthorized - Provisioning-Key Invalid"}
        trouble = self.trouble.get(name, [])
        what = trouble.pop(0) if trouble else None
        if isinstance(what, tuple):
            return what
        if what == "late":
            self._do(asked, parts, url.query)
        if what in ("hang", "late"):
            await asyncio.Event().wait()
        if what == "drop":
            return None
        return self._do(asked, parts, url.query, deaf=name in self.deaf)

    def _do(self, asked: Asked, parts: list[str], query: str, *, deaf: bool = False) -> Said:
        table, *rest = parts
        try:
            self.sql.execute("BEGIN")
            said = self._route(asked, table, rest, query)
            self.sql.execute("ROLLBACK" if deaf else "COMMIT")
        except Exception as error:  # noqa: BLE001 - every failure is an answer
            self.sql.execute("ROLLBACK")
            return self._failed(error, table)
        return said

    def _failed(self, error: Exception, table: str) -> Said:
        if isinstance(error, NothingFoundError) and not self.says_500:
            return (400 if table == "ims_subscriber" else 200), None
        if isinstance(error, sqlite3.IntegrityError):
            text = f"(sqlite3.IntegrityError) {error}"
            reason = f"A database integrity error occurred: {text}"
            return 400, {"result": "Failed", "reason": reason}
        reason = f"An internal server error occurred: {error}"
        return 500, {"result": "Failed", "reason": reason}

    def _route(self, asked: Asked, table: str, rest: list[str], query: str) -> Said:
        if table not in ("apn", "auc", "subscriber", "ims_subscriber"):
            return 404, {"Result": "Not Found"}
        if asked.method == "PUT":
            return 200, self._create(table, _body(asked))
        if rest == ["list"]:
            return 200, self._list(table, parse_qs(query))
        if len(rest) == 2:
            return 200, self._find(table, LOOK_UPS[table, rest[0]], rest[1])
        key = int(rest[0])
        if asked.method == "PATCH":
            return 200, self._change(table, key, _body(asked))
        if asked.method == "DELETE":
            return 200, self._remove(table, key)
        return 200, self._find(table, f"{table}_id", key)

    # ---- the API ----

    def _columns(self, table: str) -> list[str]:
        return [row[1] for row in self.sql.execute(f"PRAGMA table_info({table})")]

    def _run(self, sql: str, values: tuple[Any, ...]) -> sqlite3.Cursor:
        """As SQLAlchemy reports it: with the statement and its parameters, keys and all."""
        try:
            return self.sql.execute(sql, values)
        except sqlite3.IntegrityError as error:
            shown = (
                f"{error}\n[SQL: {sql}]\n[parameters: {values}]\n(Background on this error at: x)"
            )
            raise sqlite3.IntegrityError(shown) from None

    def _create(self, table: str, row: Row) -> Row:
        for name in row:
            if name not in self._columns(table):
                shown = f"'{name}' is an invalid keyword argument for {table.upper()}"
                raise TypeError(shown)
        names, marks = ", ".join(row), ", ".join("?" * len(row))
        sql = f"INSERT INTO {table} ({names}) VALUES ({marks})"
        key = self._run(sql, tuple(row.values())).lastrowid
        assert key is not None
        return self._found(table, f"{table}_id", key)

    def _change(self, table: str, key: int, row: Row) -> Row:
        self._found(table, f"{table}_id", key)
        known = {name: value for name, value in row.items() if name in self._columns(table)}
        sets = ", ".join(f"{name} = ?" for name in known)
        if known:
            self._run(f"UPDATE {table} SET {sets} WHERE {table}_id = ?", (*known.values(), key))
        if table == "subscriber" and row.get("enabled") is False and row.get("serving_mme"):
            self.cancelled.append((row["imsi"], row["serving_mme"]))
        return self._find(table, f"{table}_id", key)

    def _remove(self, table: str, key: int) -> Row:
        self._found(table, f"{table}_id", key)
        self.sql.execute(f"DELETE FROM {table} WHERE {table}_id = ?", (key,))
        return {"Result": "OK"}

    def _find(self, table: str, column: str, value: object) -> Row:
        return self._shown(self._found(table, column, value))

    def _found(self, table: str, column: str, value: object) -> Row:
        rows = self.sql.execute(f"SELECT * FROM {table} WHERE {column} = ?", (value,)).fetchall()
        if len(rows) != 1:
            raise NothingFoundError("No row was found when one was required")
        return _typed(dict(rows[0]))

    def _shown(self, row: Row) -> Row:
        return {name: v for name, v in row.items() if self.shows_keys or name not in HIDDEN}

    def _list(self, table: str, query: dict[str, list[str]]) -> list[Row]:
        rows = [self._shown(row) for row in self.rows(table)]
        if not self.pages:
            return rows
        page, size = int(query["page"][0]), int(query["page_size"][0])
        return rows[page * size : (page + 1) * size]


def _typed(row: Row) -> Row:
    return {n: bool(v) if n in FLAGS and v is not None else v for n, v in row.items()}


def _json(body: bytes) -> Row | None:
    try:
        found = json.loads(body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _body(asked: Asked) -> Row:
    row = _json(asked.body)
    if row is None:
        raise ValueError("400 Bad Request: Failed to decode JSON object")
    return row


def pyhss() -> AbstractAsyncContextManager[PyHss]:
    """An HSS on a free port."""
    return serving(PyHss())


def pyhss_beside() -> AbstractContextManager[PyHss]:
    """An HSS in a thread of its own, for tests that run commands."""
    return serving_beside(PyHss())
