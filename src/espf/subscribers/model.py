"""A subscriber: one account with its card, and whether it may have service at all."""

from dataclasses import dataclass
from datetime import date

from espf.subscribers.secret import NO_SECRET, Secret
from espf.subscribers.services import NO_SERVICES, Services

MAX_MSISDN_DIGITS = 15
"""E.164."""


@dataclass(frozen=True, slots=True)
class SimCard:
    """The card that an account holds."""

    i_sim_card: int
    imsi: str
    iccid: str | None = None
    amf: str = "8000"
    hlr_name: str = ""
    ki: Secret = NO_SECRET
    opc: Secret = NO_SECRET
    pin: Secret = NO_SECRET
    puk1: Secret = NO_SECRET
    puk2: Secret = NO_SECRET
    activation_code: Secret = NO_SECRET


@dataclass(frozen=True, slots=True)
class Subscriber:
    """An account as handlers need it. It holds all that an event of the account may be about."""

    i_env: int
    i_account: int
    i_customer: int
    i_product: int | None
    id: str
    """The visible id, such as `79123456789@msisdn`."""
    role: str = "universal"
    product: str | None = None
    """Name of the main product."""
    sim: SimCard | None = None
    activation_date: date | None = None
    """First day of use."""
    expiration_date: date | None = None
    """Last day of use."""
    password: Secret = NO_SECRET
    """Of the self-care login."""
    service_password: Secret = NO_SECRET
    """Of the service itself: SIP, RADIUS."""
    closed: bool = False
    """The account or its customer is closed: it must not exist on any far side."""
    barred: frozenset[str] = frozenset()
    """Every reason for which service must be off, under the names of the effective statuses:
    `blocked`, `customer_suspended`, `zero_balance`, `closed`, …; empty: it may have service."""
    services: Services = NO_SERVICES
    """Features, access policy, discount plan and add-ons, as they hold for the account."""

    @property
    def msisdn(self) -> str | None:
        """The number that the id stands for: its digits before an `@`; None if it is no number."""
        number = self.id.partition("@")[0].removeprefix("+")
        plain = number.isascii() and number.isdigit() and len(number) <= MAX_MSISDN_DIGITS
        return number if plain else None

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """All of its secrets that are set."""
        sim = self.sim
        own = (self.password, self.service_password)
        card = (sim.ki, sim.opc, sim.pin, sim.puk1, sim.puk2, sim.activation_code) if sim else ()
        return tuple(secret for secret in (*own, *card) if secret)
