"""Every error that espf raises on purpose.

ProvisioningError
├── ConfigError      a setting, a handler's option, a file given by the user
├── CaptureError     the triggers that write events
├── StorageError     the database: missing, locked, full, read-only, of another version
│   ├── LeaseLost    another instance took over what this one was settling
│   └── LockTaken    another transaction holds what this one needs, for now
├── PayloadError     an event cannot be turned into a request body
├── RegistryError    a customer, account, product or SIM card cannot be stored as asked
└── HandlerError     a handler cannot work at all (not: an attempt failed, that is an Outcome)

A message says what is wrong, where, and how to mend it; it never holds a secret.
"""

from collections.abc import Sequence


class ProvisioningError(Exception):
    """What went wrong, in a sentence for the operator. Base of all errors of espf."""


class ConfigError(ProvisioningError):
    """One or more settings are wrong; `problems` lists each, in the order of the file."""

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        super().__init__("\n".join([message, *(f"  - {problem}" for problem in problems)]))
        self.problems = tuple(problems)


class CaptureError(ProvisioningError):
    """The capture triggers cannot be compiled or installed."""


class StorageError(ProvisioningError):
    """The database did not do what was asked; a loop may try again."""


class StorageRefused(StorageError):  # noqa: N818 - a state, as LeaseLost
    """What was to be stored contradicts what is there: trying again will not help."""


class LeaseLost(StorageError):  # noqa: N818 - the field's word
    """A lane is no longer ours: nothing of this settlement was stored."""


class LockTaken(StorageError):  # noqa: N818 - the field's word
    """Another transaction holds a lock, longer than we wait for it; try again later."""


class PayloadError(ProvisioningError):
    """An event cannot be turned into what its receiver expects."""


class RegistryError(ProvisioningError):
    """The registry refuses a record; `field` names the one that is wrong, where there is one."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class HandlerError(ProvisioningError):
    """A handler type is unknown, broken or cannot be started."""
