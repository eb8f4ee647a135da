"""How a call to a far side can fail, and what then becomes of the event.

ProvisioningError
├── FarSideError        raised by `ExternalSystem.read`, `apply` and the like
│   ├── NotNow          it had no effect; try again later            → retry
│   ├── Unclear         sent, and nobody knows whether it acted      → read back, then unknown
│   └── Refused         refused for good                             → rejected
└── SubscriberError     the registry's data do not suffice           → rejected

The message is a sentence for the operator: what is wrong, and how to mend it. It may repeat what a
far side said: every secret of the subscriber, every secret option and whatever looks like a key is
masked before it is stored or shown.
"""

from espf.errors import ProvisioningError


class FarSideError(ProvisioningError):
    """A call to the far side did not do what was asked."""

    def __init__(self, message: str, *, code: int | None = None, answer: str = "") -> None:
        super().__init__(message)
        self.code = code
        """Code of the answer, if there was one."""
        self.answer = answer
        """What the far side said; it is masked later."""


class NotNow(FarSideError):  # noqa: N818 - the field's word
    """The call had no effect, and a later one may have: busy, down, not reachable."""

    def __init__(
        self,
        message: str,
        *,
        code: int | None = None,
        answer: str = "",
        refused: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, code=code, answer=answer)
        self.refused = refused
        """Nothing will work for anyone now (no connection, wrong secret): five of these in a row
        open the breaker, and events wait instead of failing."""
        self.retry_after_s = retry_after_s
        """Seconds the far side asked us to wait."""


class Unclear(FarSideError):  # noqa: N818 - the field's word
    """The call was sent and its result is not known: the far side may have acted."""


class Refused(FarSideError):  # noqa: N818 - the field's word
    """The far side refuses for good: repeating would change nothing."""


class SubscriberError(ProvisioningError):
    """The subscriber cannot be provisioned as the registry has it: a SIM card without Ki, …"""
