"""When a failed attempt is repeated, and when it is given up (domain, 2.5)."""

from collections.abc import Callable
from dataclasses import dataclass

from espf.handlers.settings import HandlerSettings

_MICRO = 1_000_000


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The `Retry.*` options. Delays in seconds."""

    first_delay_s: float
    factor: float
    max_delay_s: float
    jitter: float
    give_up_after_s: float
    max_attempts: int

    @classmethod
    def of(cls, settings: HandlerSettings) -> "RetryPolicy":
        """The policy that a handler's options ask for."""
        return cls(
            first_delay_s=settings.retry_first_delay_s,
            factor=settings.retry_factor,
            max_delay_s=settings.retry_max_delay_s,
            jitter=settings.retry_jitter,
            give_up_after_s=settings.retry_give_up_after_s,
            max_attempts=settings.retry_max_attempts,
        )

    def delay_us(self, attempts: int, asked_s: float | None, random: Callable[[], float]) -> int:
        """Microseconds from the end of attempt number `attempts` to the next.

        `asked_s` is what the far side asked for (Retry-After): it is honoured up to MaxDelay and
        never shortened by jitter. `random` gives numbers in [0, 1).
        """
        # Beyond some power every delay is MaxDelay; the bound keeps the float from overflowing.
        exponent = min(attempts - 1, 64)
        planned = min(self.first_delay_s * min(self.factor**exponent, 1e12), self.max_delay_s)
        planned *= 1 + self.jitter * (2 * random() - 1)
        if asked_s is not None:
            planned = max(planned, min(asked_s, self.max_delay_s))
        return int(planned * _MICRO)

    def gives_up(self, counted_attempts: int, waited_us: int, delay_us: int) -> str | None:
        """Why the event is failed now, or None to try it again after `delay_us`.

        `counted_attempts` leaves out probes; `waited_us` is the time since the first attempt
        without the time that the handler was paused or its breaker open.
        """
        if self.max_attempts and counted_attempts >= self.max_attempts:
            return f"given up after {counted_attempts} attempts (Retry.MaxAttempts)"
        if waited_us + delay_us > self.give_up_after_s * _MICRO:
            return f"given up after {self.give_up_after_s:g} s (Retry.GiveUpAfter)"
        return None
