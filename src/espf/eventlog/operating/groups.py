"""Service groups and the provisioning status of accounts in them (domain, 5.1)."""

from typing import Final, get_args

from espf.errors import ConfigError
from espf.eventlog.model import MAX_STATUS_CHARS, AccountStatus, ServiceGroup, ServiceStatus
from espf.eventlog.operating.session import Session
from espf.events.catalogue import did_you_mean, nearest, shown

FIRST_CUSTOM: Final = 1001
MAX_NAME_CHARS = 64
STATUSES: tuple[str, ...] = get_args(ServiceStatus)


def groups(session: Session) -> list[ServiceGroup]:
    """All groups, the predefined ones first."""
    rows = session.run("groups").fetchall()
    return [ServiceGroup(i_group, name, i_group >= FIRST_CUSTOM) for i_group, name in rows]


def create(session: Session, name: str) -> ServiceGroup:
    """Add a custom group. Raises ConfigError for a name that is none or that there is."""
    if not name or len(name) > MAX_NAME_CHARS or not name.isprintable() or name != name.strip():
        raise ConfigError(
            f"A service group's name has 1 to {MAX_NAME_CHARS} characters, none of them a control "
            "character, and no space at either end."
        )
    row = session.run("add_group", {"name": name}).fetchone()
    if row is None:
        raise ConfigError(f"There is a service group {shown(name)} already.")
    return ServiceGroup(row[0], name, is_custom=True)


def delete(session: Session, wanted: str) -> ServiceGroup:
    """Remove a custom group, by name or number, with all statuses in it. Raises ConfigError."""
    group = find(session, wanted)
    if not group.is_custom:
        raise ConfigError(f"{group.name} is one of the predefined groups, which stay.")
    session.run("drop_group_statuses", {"i_group": group.i_group})
    session.run("drop_group", {"i_group": group.i_group})
    return group


def find(session: Session, wanted: str) -> ServiceGroup:
    """The group of a name or number. Raises ConfigError that names the nearest."""
    found = groups(session)
    for group in found:
        if wanted in (group.name, str(group.i_group)):
            return group
    meant = did_you_mean(nearest(wanted, [group.name for group in found]))
    raise ConfigError(f"There is no service group {shown(wanted)}{meant}")


def set_status(
    session: Session, i_account: int, wanted: str, status: str, message: str, now_us: int
) -> None:
    """Set an account's status in a group, as an application reports it or an operator decides.

    Results of events until now do not replace it, later ones do. Raises ConfigError.
    """
    if status not in STATUSES:
        known = ", ".join(STATUSES)
        raise ConfigError(f"{shown(status)} is no status; there are {known}.")
    if len(message) > MAX_STATUS_CHARS:
        raise ConfigError(f"A message has at most {MAX_STATUS_CHARS} characters.")
    bound = {
        "i_account": i_account,
        "group_name": find(session, wanted).name,
        "status": status,
        "message": message,
        "i_event": session.last_number(),
        "set_us": now_us,
    }
    session.run("set_status", bound)


def statuses(session: Session, i_account: int) -> list[AccountStatus]:
    """An account's statuses, by group."""
    rows = session.run("statuses_of", {"i_account": i_account}).fetchall()
    return [AccountStatus(*row) for row in rows]
