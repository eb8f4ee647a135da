"""Sends everything again that a handler was, or is to be, sent since some event: in order."""

from collections import Counter

from espf.clock import utc_text
from espf.eventlog.operating.search.blocks import BLOCK, Holding, Stretch, Walk
from espf.eventlog.operating.search.sources import Scan
from espf.eventlog.operating.search.views import HandlerView, views_of
from espf.eventlog.operating.session import Session
from espf.eventlog.operating.storing import require
from espf.eventlog.operations import ReplayPlan


def plan(
    session: Session, name: str, first: int | None = None, since_us: int | None = None
) -> ReplayPlan:
    """What a replay from an event, or from a time, would send. Raises ConfigError."""
    require(session, name)
    (view,) = views_of(session, [name])
    lowest, highest = session.run("ends_of_log").fetchone()
    if lowest is None:
        return ReplayPlan(None, None, {})
    start = max(first or 0, lowest)
    if since_us is not None:
        start = max(start, _first_since(session, since_us, Stretch(lowest, highest)) or highest + 1)
    counts = _count(session, view, Stretch(start, highest))
    return ReplayPlan(start if counts else None, lowest, dict(sorted(counts.items())))


def _first_since(session: Session, since_us: int, log: Stretch) -> int | None:
    blocks = session.run("blocks_done").fetchone()[0]
    walk = Walk(session, down=False, blocks=blocks)
    found = Scan(walk, Holding(since=utc_text(since_us))).chunk(log, 1)
    return found[0] if found else None


def _count(session: Session, view: HandlerView, wanted: Stretch) -> Counter[str]:
    """Events of the handler's types: whole blocks are counted already."""
    counts: Counter[str] = Counter()
    if not view.event_types or wanted.low > wanted.high:
        return counts
    done = session.run("blocks_done").fetchone()[0]
    first_whole = -(-wanted.low // BLOCK)
    if first_whole < done:
        _add(session, view, "types_in_blocks", Stretch(first_whole, done - 1), counts)
        _add(session, view, "types_of", Stretch(wanted.low, first_whole * BLOCK - 1), counts)
        wanted = Stretch(max(wanted.low, done * BLOCK), wanted.high)
    _add(session, view, "types_of", wanted, counts)
    return counts


def _add(
    session: Session, view: HandlerView, name: str, within: Stretch, counts: Counter[str]
) -> None:
    if within.low <= within.high:
        bound = {"event_types": sorted(view.event_types), **within._asdict()}
        counts.update(dict(session.run(name, bound).fetchall()))


def replay(session: Session, name: str, first: int, now_us: int) -> bool:
    """Set the handler back so that `first` is its next event; False if it waits for it already.

    In the caller's transaction, which is alone in its kind. Cursors go back and their fences move,
    so that no owner can settle what it has in memory; parked events from there on are read again
    from the lanes; earlier attempts no longer count as having settled anything above the cursors.
    """
    i_handler = require(session, name)
    (view,) = views_of(session, [name])
    if view.highest < first:
        return False
    bound = {"i_handler": i_handler, "position": first - 1, "now_us": now_us}
    session.run("void_fences", bound)  # and wait for whoever is settling
    session.run("forget_stale_wishes", bound)
    session.run("unpark_from", bound)
    session.run("activate_left", bound)
    session.run("set_back", bound)
    session.run("mark_replay", {**bound, "last_attempt": _last_attempt(session)})
    session.run("unpass_whole", bound)
    session.run("unpass_part", bound)
    session.run("bump_config_version")
    return True


def _last_attempt(session: Session) -> int:
    return int(session.run("last_attempt").fetchone()[0])
