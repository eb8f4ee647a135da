"""What one attempt did, as it may be stored: every text masked."""

from espf.handlers.contract.calls import Broken
from espf.handlers.contract.failures import FarSideError, NotNow, Unclear
from espf.handlers.contract.masking import SubscriberMask
from espf.handlers.contract.step import Answer, Step
from espf.handlers.port import Delivered, Outcome, Rejected, RetryLater, Unknown

ALREADY = "already as it should be; read and compared"
VERIFIED = "read back: as it should be"


class Journal:
    """Steps taken and answers given, and the outcomes made of them."""

    def __init__(self, mask: SubscriberMask) -> None:
        self.mask = mask
        """Replaced when it is known whose secrets there are; outcomes are made with the last."""
        self._steps: list[str] = []
        self._answers: list[str] = []
        self._code: int | None = None

    @property
    def empty(self) -> bool:
        """Whether no step was sent."""
        return not self._steps

    def sent(self, step: Step) -> None:
        """The step leaves now."""
        self._steps.append(str(step))

    def answered(self, answer: Answer | None) -> None:
        """The system accepted the last step."""
        self._note(answer.code if answer else None, answer.text if answer else "")

    def failed(self, error: FarSideError) -> None:
        """A call failed."""
        self._note(error.code, error.answer)

    def _note(self, code: int | None, text: str) -> None:
        self._code = self._code if code is None else code
        if text:
            self._answers.append(text)

    # ---- outcomes ----

    def delivered(self) -> Delivered:
        """The far side is as it should be, and that was read from it."""
        last = ALREADY if self.empty else VERIFIED
        return Delivered(self._request(), self._code, self._answer(last))

    def rejected(self, reason: str) -> Rejected:
        """Repeating would change nothing."""
        return Rejected(self._request(), self.mask.text(reason), self._code, self._answer())

    def retry(self, reason: str, error: NotNow | None = None) -> RetryLater:
        """A later attempt begins with what is missing then."""
        return RetryLater(
            self._request(),
            self.mask.text(reason),
            self._code,
            self._answer(),
            error.retry_after_s if error else None,
            refused=error.refused if error else False,
        )

    def unknown(self, reason: str) -> Unknown:
        """The last step may have acted; the next attempt reads first."""
        return Unknown(self._request(), self.mask.text(reason), self._code, self._answer())

    def of_failure(self, error: FarSideError | Broken) -> Outcome:
        """What becomes of the event after a failed call."""
        if isinstance(error, Broken):
            return self.retry(str(error)) if self.empty else self.unknown(str(error))
        self.failed(error)
        match error:
            case NotNow():
                return self.retry(str(error), error)
            case Unclear():
                return self.unknown(str(error))
            case _:
                return self.rejected(str(error))

    def _request(self) -> str:
        return self.mask.text("\n".join(self._steps))

    def _answer(self, *more: str) -> str:
        return self.mask.text("\n".join([*self._answers, *more]))
