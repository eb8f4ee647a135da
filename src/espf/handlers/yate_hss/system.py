"""A Yate HSS under the contract.

It cannot be asked for what it was given, only whether a card is known and registered. So what it
accepted is remembered (as digests), and compared with what is wanted; the queries then catch a card
that is gone and a block that does not bite.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from espf.events.patterns import matches, split_patterns
from espf.handlers.contract.checks import checked_amf, checked_imsi, checked_key, checked_msisdn
from espf.handlers.contract.failures import Refused
from espf.handlers.contract.step import Answer, Step
from espf.handlers.contract.system import ExternalSystem
from espf.handlers.yate_hss.answers import YateAnswer, require
from espf.handlers.yate_hss.checks import SERVICES
from espf.handlers.yate_hss.client import YateClient
from espf.handlers.yate_hss.registration import Registration, read_registration
from espf.handlers.yate_hss.settings import YateHssSettings
from espf.handlers.yate_hss.steps import RemoveCard, SetCard, SetServices, SetSubscriber
from espf.handlers.yate_hss.template import Value, fill, parse_template
from espf.subscribers.model import SimCard, Subscriber
from espf.subscribers.secret import NO_SECRET, Secret
from espf.subscribers.services import AccessPolicy
from espf.subscribers.steps import StepMemory

CALLS_A_STEP = 2
CANCEL_S = 0.2
"""A block ends a registration by a message to the network; a moment later the query shows it."""
GONE = "gone"
PROFILES = "lte.wtl"
"""Group of an access policy's attributes that name profiles (domain, 8)."""
ALL_SERVICES = frozenset(SERVICES)
UNKNOWN = frozenset({"unknown"})
"""Services of a card of which nobody knows them: other than any that are wanted."""


@dataclass(frozen=True, slots=True)
class CardState:
    """What the HSS has of a card: digests of what it accepted, or what it is to be given."""

    card: str = ""
    subscriber: str = ""
    services: frozenset[str] = UNKNOWN
    """Those that it may use."""
    registered: frozenset[str] = frozenset()
    """Domains (cs, ps) in which it is in the network now."""
    card_params: Secret = NO_SECRET
    """What the digests are of; only where it is wanted."""
    subscriber_params: str = ""


class YateHss(ExternalSystem[CardState]):
    """One HSS."""

    title = "YateHSS"

    def __init__(self, settings: YateHssSettings, client: YateClient, memory: StepMemory) -> None:
        self._settings = settings
        self._client = client
        self._memory = memory
        self._template = parse_template(settings.subscriber_template)
        self._patterns = split_patterns(settings.imsi_pattern)
        words = settings.absent_words.lower().split(",")
        self._absent_words = tuple(filter(None, (word.strip() for word in words)))
        self.timeout_s = CALLS_A_STEP * settings.request_timeout_s + 1
        self.secrets = settings.secrets

    def identity(self, subscriber: Subscriber) -> str | None:
        """The card's IMSI."""
        return None if subscriber.sim is None else checked_imsi(subscriber.sim)

    def concerns(self, identity: str) -> bool:
        """`YateHSS.IMSIPattern`."""
        return not self._patterns or any(matches(one, identity) for one in self._patterns)

    # ---- what is wanted ----

    def wanted(self, subscriber: Subscriber) -> CardState | None:
        """Card, number, profiles and services of a subscriber that is not closed."""
        if subscriber.closed or subscriber.sim is None:
            return None
        barred = self._settings.blocked_services if subscriber.barred else frozenset()
        services = ALL_SERVICES - barred
        card = self._card(subscriber.sim)
        params = fill(self._template, self._values(subscriber, subscriber.sim))
        text = orjson.dumps(params, option=orjson.OPT_SORT_KEYS).decode()
        return CardState(
            card=self._memory.digest(card),
            subscriber=self._memory.digest(text),
            services=services,
            card_params=Secret(card),
            subscriber_params=text,
        )

    def _card(self, sim: SimCard) -> str:
        profile = self._settings.sim_profile
        amf = checked_amf(sim)
        one = {
            "imsi": sim.imsi,
            "iccid": sim.iccid,
            "ki": checked_key(sim, "ki"),
            "op": checked_key(sim, "opc"),
            "amf": amf,
            "amf_lte": amf,
        }
        params = {"sims": [one], "use_opc": True, "return_ids": True}
        if profile:
            params["sim_profile"] = profile
        return orjson.dumps(params, option=orjson.OPT_SORT_KEYS).decode()

    def _values(self, subscriber: Subscriber, sim: SimCard) -> dict[str, Value]:
        settings = self._settings
        return {
            "i_env": str(subscriber.i_env),
            "i_account": str(subscriber.i_account),
            "i_customer": str(subscriber.i_customer),
            "i_product": "" if subscriber.i_product is None else str(subscriber.i_product),
            "id": subscriber.id,
            "msisdn": checked_msisdn(subscriber),
            "imsi": sim.imsi,
            "iccid": sim.iccid or "",
            "product": subscriber.product or "",
            "active": 0 if subscriber.barred else 1,
            "sim_profile": settings.sim_profile,
            **self._profiles(subscriber.services.access_policy),
        }

    def _profiles(self, policy: AccessPolicy | None) -> dict[str, Value]:
        """Service profiles: the access policy's where it names one, or else the option's."""
        of_all = self._settings.service_profiles
        if policy is None:
            return dict(of_all)
        return {name: policy.value(PROFILES, name) or other for name, other in of_all.items()}

    # ---- what is there ----

    async def read(self, identity: str) -> CardState | None:
        """What was accepted, unless the queries know better."""
        parts = await self._memory.parts(identity)
        cs, ps = Registration(None), Registration(None)
        if self._settings.read_back:
            cs = await self._registration("query_cs_reg", identity)
            ps = await self._registration("query_ps_reg", identity)
        known = True in (cs.known, ps.known)
        if not known and (False in (cs.known, ps.known) or GONE in parts):
            return None
        domains = {"cs": cs.registered, "ps": ps.registered}
        services = parts.get("services")
        return CardState(
            card=parts.get("card", ""),
            subscriber=parts.get("subscriber", ""),
            services=UNKNOWN if services is None else frozenset(split_patterns(services)),
            registered=frozenset(domain for domain, there in domains.items() if there),
        )

    async def _registration(self, request: str, imsi: str) -> Registration:
        answer = await self._client.call(request, {"imsi": imsi})
        return read_registration(answer, self._absent_words)

    # ---- the difference ----

    def plan(self, identity: str, have: CardState | None, want: CardState | None) -> Sequence[Step]:
        """The vendor's order: the card, the subscriber on it, its services, old cards last."""
        if want is None:
            return [] if have is None else [RemoveCard(identity)]
        steps: list[Step] = []
        if have is None or have.card != want.card:
            steps.append(SetCard(identity, want.card_params, want.services))
            have = CardState(services=want.services)
        if have.subscriber != want.subscriber:
            steps.append(SetSubscriber(identity, want.subscriber_params))
        if have.services != want.services or self._unbitten(have, want):
            steps.append(SetServices(identity, want.services))
        return steps

    def _unbitten(self, have: CardState, want: CardState) -> bool:
        """A phone is still in the network although nothing there is allowed to it.

        3G and LTE data show as one domain, so it is judged only where both are off.
        """
        return ("cs" in have.registered and "cs" not in want.services) or (
            "ps" in have.registered and not want.services & {"ps", "lte"}
        )

    # ---- steps ----

    async def apply(self, step: Step) -> Answer:
        """Send one request, and remember what was accepted."""
        answer = await self._client.call(*_request(step))
        if isinstance(step, SetServices | SetSubscriber) and self._absent(answer):
            # Whatever is remembered, the card is gone: everything is sent again at the next look.
            await self._memory.forget(step.identity)
        else:
            await self._remember(step, answer)
        return Answer(answer.code, f"{answer.request}: {answer.text}")

    def _absent(self, answer: YateAnswer) -> bool:
        return answer.not_there(self._absent_words)

    async def rehearse(self, step: Step) -> None:
        """`echo:` before a request's name has it parsed and not executed."""
        request, params = _request(step)
        require(await self._client.call(f"echo:{request}", params))

    async def _remember(self, step: Step, answer: YateAnswer) -> None:
        memory, imsi = self._memory, step.identity
        match step:
            case SetCard(card=card, services=services):
                await self._require_card(imsi, answer)
                await memory.forget(imsi)
                # Of a card that was there already nobody knows which services it has.
                known = {} if answer.duplicate else {"services": ",".join(sorted(services))}
                await memory.note(imsi, {"card": memory.digest(card.reveal()), **known})
            case SetSubscriber(params=params):
                require(answer)
                await memory.note(imsi, {"subscriber": memory.digest(params)})
            case SetServices(services=services):
                require(answer)
                await memory.note(imsi, {"services": ",".join(sorted(services))})
                if services != ALL_SERVICES:
                    await asyncio.sleep(CANCEL_S)
            case _:
                if not (answer.nothing_to_delete or self._absent(answer)):
                    require(answer)
                await memory.forget(imsi)
                await memory.note(imsi, {GONE: "yes"})

    async def _require_card(self, imsi: str, answer: YateAnswer) -> None:
        """A card that is there already will do, unless it is known to be another."""
        if not answer.duplicate:
            require(answer)
        elif "card" in await self._memory.parts(imsi):
            raise Refused(
                f"YateHSS has card {imsi} with other data and does not replace them; remove it "
                "there (del_sim), then run `espf handlers resync`",
                code=answer.code,
                answer=answer.text,
            )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def _request(step: Step) -> tuple[str, bytes]:
    """Name and parameters of the request that takes a step."""
    match step:
        case SetCard(card=card, services=services):
            params = orjson.loads(card.reveal()) | _flags(services)
            return "set_sim_range", orjson.dumps(params)
        case SetSubscriber(params=text):
            return "set_subscriber", text.encode()
        case SetServices(identity=imsi, services=services):
            return "set_sim", orjson.dumps({"imsi": imsi} | _flags(services))
        case RemoveCard(identity=imsi):
            return "del_sim", orjson.dumps({"imsi": imsi})
    raise TypeError(f"{type(step).__name__} is no step of YateHSS")


def _flags(services: frozenset[str]) -> dict[str, bool]:
    return {f"{one}_active": one in services for one in SERVICES}
