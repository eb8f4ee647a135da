"""One portion of a fan-out: a transaction that derives events and notes how far it came."""

from espf.clock import utc_text
from espf.dispatch.derivation import Derivation
from espf.dispatch.port import Progress
from espf.dispatch.statements import (
    ADVANCE,
    BEGIN,
    BULK_ABOVE,
    DEEPEST,
    PORTION,
    STANDING,
    portion,
)
from espf.eventlog.operating.session import Session


class Overtaken(Exception):  # noqa: N818 - what happened, not what is wrong
    """Somebody else derived this portion first: the transaction is undone."""


def advance(session: Session, derivation: Derivation, now_us: int) -> Progress:
    """Derive the next portion. Raises Overtaken, StorageError; then nothing was derived."""
    with session.changing():
        return _advance(session, derivation, now_us)


def _advance(session: Session, derivation: Derivation, now_us: int) -> Progress:
    asked = portion(derivation, session.dialect, utc_text(now_us))
    found = session.query(STANDING, asked.bound).fetchone()
    if found is None:
        return Progress(0, done=True, reason="the event it came from is no longer in the log")
    depth, wanted, after, bulk, derived, done = found
    if done:
        return Progress(derived, done=True, ours=False)
    if depth >= DEEPEST:
        return Progress(0, done=True, reason=f"it was itself derived in {depth} steps", fails=True)
    if not wanted:
        reason = f"nobody is subscribed to {derivation.output}"
        return Progress(derived or 0, done=True, reason=reason)
    bound = {**asked.bound, "after": after or 0, "depth": depth + 1}
    last, number = session.query(asked.candidates, bound).fetchone() or (None, 0)
    bound |= {"last": last or 0, "bulk": int(number > BULK_ABOVE) if after is None else bulk}
    if after is None:
        session.query(BEGIN, bound)
    made = session.query(asked.insert, bound).rowcount if number else 0
    bound |= {"last": last or after or 0, "derived": made, "done": int(number < PORTION)}
    if session.query(ADVANCE, bound).rowcount != 1:
        raise Overtaken
    return Progress((derived or 0) + made, done=number < PORTION)
