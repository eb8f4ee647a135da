"""The usual checks of a subscriber's data, for `ExternalSystem.wanted` and `identity`.

Each returns the value in the form that systems take, or raises SubscriberError that says what to
mend. Some far sides store anything, so nothing malformed may reach them (domain, 6.1).
"""

import re
from typing import Literal

from espf.handlers.contract.failures import SubscriberError
from espf.subscribers.model import SimCard, Subscriber

_IMSI = re.compile(r"[0-9]{6,15}", re.ASCII)
_KEY = re.compile(r"[0-9A-Fa-f]{32}")
_AMF = re.compile(r"[0-9A-Fa-f]{4}")


def checked_imsi(sim: SimCard) -> str:
    """The IMSI: 6 to 15 digits."""
    if not _IMSI.fullmatch(sim.imsi):
        raise SubscriberError(
            f"SIM card {sim.i_sim_card} has an IMSI that is none: 6 to 15 digits are needed; "
            "replace the card."
        )
    return sim.imsi


def checked_key(sim: SimCard, name: Literal["ki", "opc"]) -> str:
    """Ki or OPc in clear: 32 hexadecimal digits, in lower case."""
    secret = sim.ki if name == "ki" else sim.opc
    called = "Ki" if name == "ki" else "OPc"
    mend = f"give it one (`espf registry update sim_card imsi={sim.imsi} {name}=…`)"
    if not secret:
        raise SubscriberError(f"SIM card {sim.imsi} has no {called}; {mend}.")
    text = secret.reveal()
    if not _KEY.fullmatch(text):
        raise SubscriberError(
            f"The {called} of SIM card {sim.imsi} is not 32 hexadecimal digits; {mend}."
        )
    return text.lower()


def checked_amf(sim: SimCard) -> str:
    """The AMF: 4 hexadecimal digits, in lower case."""
    if not _AMF.fullmatch(sim.amf):
        raise SubscriberError(
            f"The AMF of SIM card {sim.imsi} is not 4 hexadecimal digits; correct it "
            f"(`espf registry update sim_card imsi={sim.imsi} amf=8000`)."
        )
    return sim.amf.lower()


def checked_msisdn(subscriber: Subscriber) -> str:
    """The number that the account's id stands for."""
    if subscriber.msisdn is None:
        raise SubscriberError(
            f"The id of account {subscriber.i_account} is no number, so it has no MSISDN: up to 15 "
            f"digits before an @ are needed (`espf registry update account {subscriber.i_account} "
            "id=…`)."
        )
    return subscriber.msisdn
