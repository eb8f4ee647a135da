"""The steps from what FreeRADIUS has of a user to what it must have."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from espf.handlers.contract.step import Step
from espf.handlers.free_radius.steps import Disconnect, RemoveUser, SetUser
from espf.handlers.free_radius.user import RadiusUser


def steps(
    name: str, have: RadiusUser | None, want: RadiusUser | None, suspended: str
) -> Iterator[Step]:
    """`suspended`: name of the group of those."""
    if want is None:
        if have is not None and have.rows:
            yield RemoveUser(name, tuple(group.name for group in have.groups))
    elif (change := _change(name, have, want, suspended)) is not None:
        yield change
    if have is not None and (want is None or want.barred):
        yield from (Disconnect(name, *session) for session in have.sessions)


def _change(name: str, have: RadiusUser | None, want: RadiusUser, suspended: str) -> SetUser | None:
    if have is None or not have.rows:
        gate = suspended if want.barred else None
        return SetUser(name, want.checks, want.groups, gate=gate, new=True)
    checks = None if have.checks == want.checks else want.checks
    groups = None if have.groups == want.groups else want.groups
    dropped = () if groups is None else tuple(dict.fromkeys(group.name for group in have.groups))
    gate = suspended if want.barred and not have.gate else None
    if checks is None and groups is None and gate is None:
        return None
    # With the group there may not yet be a gate, of which nothing is known until it is read.
    gate = suspended if want.barred and groups is not None else gate
    return SetUser(name, checks, groups, dropped, gate)


def renamed(found: Sequence[Step]) -> list[Step]:
    """A user that goes and one that comes, with one event, are one that is renamed.

    So its rows of radreply, and what else is not ours, stay with it.
    """
    gone = [step for step in found if isinstance(step, RemoveUser)]
    come = [step for step in found if isinstance(step, SetUser) and step.new]
    if len(gone) != 1 or len(come) != 1:
        return list(found)
    one = replace(come[0], old=gone[0].identity, new=False, dropped=gone[0].groups)
    return [one if step is come[0] else step for step in found if step is not gone[0]]
