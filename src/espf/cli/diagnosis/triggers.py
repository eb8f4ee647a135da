"""Check of the capture triggers, on either engine."""

from typing import Any

from espf.capture.install import is_current
from espf.cli.diagnosis.finding import Finding, ok, wrong


def check_triggers(connection: Any) -> Finding:
    """Whether they are those of this program; `connection` is the driver's."""
    if is_current(connection):
        return ok("triggers", "The capture triggers are installed and current.")
    return wrong(
        "triggers",
        "The capture triggers are missing or of another release: changes may raise no events.",
        "Run `espf migrate`.",
    )
