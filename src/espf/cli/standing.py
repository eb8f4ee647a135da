"""What a resync found is the provisioning status of each account, as an event's result is."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from espf.eventlog.model import ServiceStatus
    from espf.eventlog.operations import Operations
    from espf.handlers.contract.resync import Ending

_STATUS: "dict[Ending, ServiceStatus]" = {
    "mended": "OK",
    "right": "OK",
    "rejected": "FAILED",
    "no answer": "RETRY",
}
MAX_MESSAGE_CHARS = 4000


class Standing:
    """Sets statuses in one handler's service group; without one it does nothing."""

    def __init__(self, operations: "Operations", group: str) -> None:
        self._operations = operations
        known = {one.name for one in operations.groups()}
        self._group = group if group in known else ""

    def note(self, i_account: int, ending: "Ending", text: str) -> None:
        """Note how an account was left; of one that is right and known to be so nothing is written.

        Raises StorageError.
        """
        status = _STATUS.get(ending)
        if not self._group or status is None:
            return
        if ending == "right" and self._is_ok(i_account):
            return
        message = "" if status == "OK" else text[:MAX_MESSAGE_CHARS]
        self._operations.set_status(i_account, self._group, status, message)

    def _is_ok(self, i_account: int) -> bool:
        found = self._operations.statuses(i_account)
        return any(one.group == self._group and one.status == "OK" for one in found)
