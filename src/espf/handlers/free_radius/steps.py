"""Steps at FreeRADIUS: what one event changes in its tables is one step, and one transaction."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from espf.handlers.contract.step import Step
from espf.handlers.free_radius.asking import Question
from espf.handlers.free_radius.user import PASSWORD, Check, Group, moment

TABLES, SESSIONS = 1, 2
"""Phases: a session is ended only after its user could not begin another one."""


class TableStep(Step):
    """Base: statements of one transaction."""

    __slots__ = ()
    phase: ClassVar[int] = TABLES

    def statements(self) -> Iterator[Question]:
        """In their order."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class SetUser(TableStep):
    """Write what differs; under another name first, if the user was renamed."""

    checks: tuple[Check, ...] | None
    """None: as it is."""
    groups: tuple[Group, ...] | None
    """None: as it is."""
    dropped: tuple[str, ...] = field(default=(), repr=False)
    """Groups that go."""
    gate: str | None = field(default=None, repr=False)
    """A group that must be rejected, if nothing is said of it."""
    old: str | None = None
    """The name until now."""
    new: bool = False

    def __str__(self) -> str:
        told = [f"renamed from {self.old}"] if self.old else []
        told += [_shown(check) for check in self.checks or ()]
        if self.groups is not None:
            told.append(f"groups={', '.join(group.name for group in self.groups) or 'none'}")
        verb = "add" if self.new else "set"
        return f"{verb} user {self.identity}: {', '.join(told) or f'reject group {self.gate}'}"

    def statements(self) -> Iterator[Question]:
        """Rename, checks, groups, gate."""
        name = {"username": self.identity}
        if self.old:
            for table in ("checks", "replies", "groups"):
                yield Question(f"rename_{table}", name | {"old": self.old})
        if self.checks is not None:
            yield Question("drop_checks", name)
            for attribute, value, op in self.checks:
                row = {"attribute": attribute, "op": op, "value": value.reveal()}
                yield Question("add_check", name | row)
        for group in self.dropped:
            yield Question("drop_group", name | {"groupname": group})
        for group, priority in self.groups or ():
            yield Question("add_group", name | {"groupname": group, "priority": priority})
        if self.gate is not None:
            yield Question("make_gate", {"groupname": self.gate})


def _shown(check: Check) -> str:
    return "password=…" if check.attribute == PASSWORD else f"expires={moment(check)}"


@dataclass(frozen=True, slots=True)
class RemoveUser(TableStep):
    """Delete all rows of a name."""

    groups: tuple[str, ...] = field(default=(), repr=False)
    """Those it had, for when it is renamed instead."""

    def statements(self) -> Iterator[Question]:
        """From three tables."""
        for table in ("checks", "replies", "groups"):
            yield Question(f"remove_{table}", {"username": self.identity})


@dataclass(frozen=True, slots=True)
class Disconnect(Step):
    """Ask a NAS to end a session (RFC 5176)."""

    phase: ClassVar[int] = SESSIONS
    nas: str
    session: str
