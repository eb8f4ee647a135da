"""Options that every handler has; a handler type adds its own to them."""

from pydantic import BaseModel, ConfigDict, Field

TEN_YEARS_S = 315_360_000
"""Longer than anyone waits; and microseconds of it still fit into the database's integers."""


class HandlerSettings(BaseModel):
    """Options common to all handlers, under their handbook names (the aliases)."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        populate_by_name=False,
        allow_inf_nan=False,
        hide_input_in_errors=True,  # an input may be a secret
    )

    concurrency: int = Field(
        1, alias="Concurrency", ge=1, le=10_000, description="Tasks that deliver side by side."
    )
    retry_first_delay_s: float = Field(
        60,
        alias="Retry.FirstDelay",
        gt=0,
        le=TEN_YEARS_S,
        description="Seconds before the second attempt.",
    )
    retry_factor: float = Field(
        2,
        alias="Retry.Factor",
        ge=1,
        le=1000,
        description="Each further delay is this many times longer.",
    )
    retry_max_delay_s: float = Field(
        3600,
        alias="Retry.MaxDelay",
        gt=0,
        le=TEN_YEARS_S,
        description="No delay is longer, in seconds.",
    )
    retry_jitter: float = Field(
        0.2, alias="Retry.Jitter", ge=0, lt=1, description="Each delay varies by this share."
    )
    retry_give_up_after_s: float = Field(
        86400,
        alias="Retry.GiveUpAfter",
        gt=0,
        le=TEN_YEARS_S,
        description="Seconds from the first attempt after which the event is failed.",
    )
    retry_max_attempts: int = Field(
        0,
        alias="Retry.MaxAttempts",
        ge=0,
        le=1_000_000,
        description="Attempts before it is failed; 0 = no limit.",
    )
    breaker_failures: int = Field(
        20,
        alias="Breaker.Failures",
        ge=1,
        le=1_000_000,
        description="Failures in a row, over at least 5 entities, that stop the handler's sending.",
    )
    breaker_probe_interval_s: float = Field(
        5,
        alias="Breaker.ProbeInterval",
        gt=0,
        le=86_400,
        description="Seconds between probes of a dead system.",
    )

    @property
    def in_flight(self) -> int:
        """Most deliveries under way at once on one instance."""
        return self.concurrency

    @property
    def status_group(self) -> str:
        """Service group in which results are an account's provisioning status; empty: in none."""
        return ""

    @property
    def leased_whole(self) -> bool:
        """Whether one instance has all lanes: `in_flight` then holds for the fleet."""
        return True

    @property
    def token_rate(self) -> float | None:
        """Deliveries a second over the whole fleet, or None for no limit."""
        return None

    @property
    def token_burst(self) -> int:
        """Most deliveries in any one second, when `token_rate` is set."""
        return 1

    @property
    def max_wait_s(self) -> float:
        """Seconds after the last send of a batch when all of the batch must be answered."""
        return float("inf")
