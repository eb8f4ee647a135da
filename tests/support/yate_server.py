"""A Yate HSS as far as its JSON API is known: a real HTTP server on loopback.

It does what the vendor's pages say of the requests that the handler sends, and on demand whatever
may go wrong. Import it as `yate_server`.
"""

import asyncio
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal

from http_far_side import Asked, HttpFarSide, Said, serving, serving_beside

SECRET = "hss-api-secret"
MOST_AT_ONCE = 3

Body = dict[str, Any]
Trouble = tuple[int, bytes | Body] | Literal["hang", "late", "drop"]
"""What happens to a request instead: another status and body, no answer ("late": after doing what
was asked), or a connection that is closed in the middle of the answer ("drop")."""


@dataclass
class Sim:
    """A card of the HSS."""

    card: Body
    services: dict[str, bool]


@dataclass
class Yate(HttpFarSide):
    """The HSS: what it has, what it was asked, what goes wrong."""

    sims: dict[str, Sim] = field(default_factory=dict)
    subscribers: dict[str, Body] = field(default_factory=dict)
    registered: set[tuple[str, str]] = field(default_factory=set)
    """(cs or ps, IMSI) of the phones in the network."""
    asked: list[tuple[str, Body]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    nodes: set[str] = field(default_factory=set)
    trouble: dict[str, list[Trouble]] = field(default_factory=dict)
    """By the request's name, for its next calls."""
    deaf: set[str] = field(default_factory=set)
    """Requests that are accepted and not carried out."""
    blocks_bite: bool = True
    """Whether a service that is switched off ends a registration."""
    secret_header: str = "x-authentication"
    port: int = 0
    at_once: int = 0
    most_at_once: int = 0
    _came: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api.php"

    @property
    def writes(self) -> list[str]:
        """Names of the requests that change something, in order."""
        return [name for name, _ in self.asked if not name.startswith("query_")]

    def params(self, name: str) -> Body:
        """Parameters of the last request of that name."""
        return [params for asked, params in self.asked if asked == name][-1]

    async def reached(self, name: str) -> None:
        """Wait until that request has come."""
        async with self._came:
            await self._came.wait_for(lambda: name in self.writes)

    # ---- HTTP ----

    async def answer(self, asked: Asked) -> Said:
        assert (asked.method, asked.path) == ("POST", "/api.php")
        self.headers.append(asked.headers)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            return await self._answer(asked.headers, json.loads(asked.body))
        finally:
            self.at_once -= 1

    async def _answer(self, headers: dict[str, str], body: Body) -> Said:
        name, params = body["request"], body["params"]
        self.nodes.add(body["node"])
        self.asked.append((name, params))
        async with self._came:
            self._came.notify_all()
        if headers.get(self.secret_header) != SECRET:
            return 401, b"Unauthorized"
        trouble = self.trouble.get(name, [])
        what = trouble.pop(0) if trouble else None
        if isinstance(what, tuple):
            return what
        if what == "late":
            self._do(name, params)
        if what in ("hang", "late"):
            await asyncio.Event().wait()
        return None if what == "drop" else (200, self._do(name, params))

    # ---- the API ----

    def _do(self, name: str, params: Body) -> Body:
        if name.startswith("echo:"):
            return {"code": 0, "request": name.removeprefix("echo:"), "params": params}
        if name in self.deaf:
            return {"code": 0}
        does: dict[str, Callable[[Body], Body]] = {
            "set_sim_range": self._set_sim_range,
            "set_sim": self._set_sim,
            "set_subscriber": self._set_subscriber,
            "del_sim": self._del_sim,
            "query_cs_reg": lambda given: self._query("cs", given),
            "query_ps_reg": lambda given: self._query("ps", given),
        }
        if name not in does:
            return {"code": 401, "message": f"Unknown request {name}"}
        return does[name](params)

    def _set_sim_range(self, params: Body) -> Body:
        ids = {}
        for number, card in enumerate(params["sims"], len(self.sims) + 1):
            if len(card.get("ki") or "") != 32:
                return {"code": 401, "message": "Invalid ki"}
            if card["imsi"] in self.sims:
                return {"code": 401, "message": f"Duplicate imsi {card['imsi']}"}
            services = {one: bool(params[f"{one}_active"]) for one in ("cs", "ps", "lte")}
            self.sims[card["imsi"]] = Sim(card, services)
            ids[card["imsi"]] = number
        return {"code": 0, "sim_range": {"count": len(ids), "sim_ids": ids}}

    def _set_sim(self, params: Body) -> Body:
        sim = self.sims.get(params["imsi"])
        if sim is None:
            return {"code": 401, "message": "Unknown SIM"}
        for one in ("cs", "ps", "lte"):
            sim.services[one] = bool(params.get(f"{one}_active", sim.services[one]))
        if self.blocks_bite:
            if not sim.services["cs"]:
                self.registered.discard(("cs", params["imsi"]))
            if not sim.services["ps"] and not sim.services["lte"]:
                self.registered.discard(("ps", params["imsi"]))
        return {"code": 0}

    def _set_subscriber(self, params: Body) -> Body:
        imsi = params["identities"][0]["imsi"]
        if imsi not in self.sims:
            return {"code": 401, "message": "Unknown SIM"}
        self.subscribers[params["subscriber_id"]] = params
        return {"code": 0}

    def _del_sim(self, params: Body) -> Body:
        if self.sims.pop(params["imsi"], None) is None:
            return {"code": 201, "message": "Nothing to delete"}
        self.registered = {one for one in self.registered if one[1] != params["imsi"]}
        return {"code": 0}

    def _query(self, domain: str, params: Body) -> Body:
        imsi = params["imsi"]
        if imsi not in self.sims:
            return {"code": 404, "message": "Unknown subscriber"}
        if (domain, imsi) not in self.registered:
            return {"code": 404, "message": "User not registered"}
        return {"code": 0, "imsi": imsi, "vlr": "491700000001"}


def yate() -> AbstractAsyncContextManager[Yate]:
    """An HSS on a free port."""
    return serving(Yate())


def yate_beside() -> AbstractContextManager[Yate]:
    """An HSS in a thread of its own, for tests that run commands."""
    return serving_beside(Yate())
