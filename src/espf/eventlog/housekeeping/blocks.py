"""Keeps account of what each complete block of the log holds: search skips the others by it."""

from collections.abc import Iterable

from espf.eventlog.operating.search.blocks import BLOCK
from espf.eventlog.operating.session import Session

AT_ONCE = 4
"""Blocks in one transaction."""


def note_blocks(session: Session, end: int) -> int:
    """Note the next complete blocks, all of whose numbers are at most `end`; returns how many."""
    done = session.run("blocks_done").fetchone()[0]
    complete = (end + 1) // BLOCK
    if done >= complete:
        return 0
    blocks = range(done, min(complete, done + AT_ONCE))
    with session.changing():
        return sum(_note(session, block) for block in blocks)


def _note(session: Session, block: int) -> int:
    moved = session.run("next_block", {"block": block}).rowcount
    if moved:
        _count(session, block)
    return moved


def recount(session: Session, blocks: Iterable[int]) -> None:
    """Count blocks again of which events were removed; one that is empty is forgotten."""
    done = session.run("blocks_done").fetchone()[0]
    for block in set(blocks):
        if block < done:
            forget(session, block, block)
            _count(session, block)


def forget(session: Session, low: int, high: int) -> None:
    """Drop what is known of the blocks from `low` to `high`."""
    session.run("forget_block_times", {"low": low, "high": high})
    session.run("forget_block_counts", {"low": low, "high": high})


def _count(session: Session, block: int) -> None:
    bound = {"block": block, "low": block * BLOCK, "high": (block + 1) * BLOCK - 1}
    session.run("note_block_times", bound)
    session.run("note_block_counts", bound)
