"""Every metric that espf exposes: name, type, labels, meaning. The reference page is made of it."""

from enum import Enum
from typing import NamedTuple

COUNTER, GAUGE, HISTOGRAM = "counter", "gauge", "histogram"


class Description(NamedTuple):
    """What is to be known of a metric."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str

    @property
    def exposed(self) -> tuple[str, ...]:
        """Names of its series."""
        if self.kind == HISTOGRAM:
            return tuple(f"{self.name}_{end}" for end in ("bucket", "count", "sum"))
        return (self.name,)


class Metric(Enum):
    """The metrics."""

    # ---- what an instance counts ----
    ATTEMPTS = Description(
        "espf_attempts_total",
        COUNTER,
        ("instance", "handler", "outcome"),
        "Attempts whose result is stored, by outcome: delivered, rejected, retry, unknown; skipped "
        "for events that ended without being sent.",
    )
    ATTEMPT_SECONDS = Description(
        "espf_attempt_seconds",
        HISTOGRAM,
        ("instance", "handler"),
        "Time from the send to the answer, or to giving up on one.",
    )
    EVENTS_READ = Description(
        "espf_events_read_total",
        COUNTER,
        ("instance", "handler"),
        "Events read from the log for the handler; one that is read again after a restart counts "
        "again.",
    )
    TOKEN_WAIT = Description(
        "espf_token_wait_seconds_total",
        COUNTER,
        ("instance", "handler"),
        "Time in which events could have been sent and only tokens were missing.",
    )
    SETTLEMENTS = Description(
        "espf_settlement_seconds",
        HISTOGRAM,
        ("instance",),
        "Time to store a batch of results, repetitions while the database was away included.",
    )
    # ---- what the database shows: handlers ----
    LAG_EVENTS = Description(
        "espf_lag_events",
        GAUGE,
        ("handler",),
        "Events that are not settled, parked ones included. Near the cursors and at the log's end "
        "each is counted, up to 100,000, and there may be more; between, what each block of 4,096 "
        "numbers holds is added up.",
    )
    LAG_SECONDS = Description(
        "espf_lag_seconds",
        GAUGE,
        ("handler",),
        "Age of the oldest event that is not settled, to the second; 0 if there is none.",
    )
    PARKED = Description(
        "espf_parked_events", GAUGE, ("handler",), "Events that wait outside of their lane."
    )
    PARKED_DUE = Description(
        "espf_parked_due_events", GAUGE, ("handler",), "Parked events that may be tried now."
    )
    BREAKER_OPEN = Description(
        "espf_breaker_open",
        GAUGE,
        ("handler",),
        "1 while the system is held for dead and only probed.",
    )
    ENABLED = Description("espf_handler_enabled", GAUGE, ("handler",), "1 if it is enabled.")
    PAUSED = Description("espf_handler_paused", GAUGE, ("handler",), "1 if it is paused.")
    UNUSABLE = Description(
        "espf_handler_unusable",
        GAUGE,
        ("instance", "handler"),
        "1 for a handler that a living instance cannot start; its log says why.",
    )
    BUCKET_TOKENS = Description(
        "espf_bucket_tokens",
        GAUGE,
        ("handler",),
        "Tokens in the bucket now; only while an instance that runs the handler lives.",
    )
    BUCKET_BURST = Description(
        "espf_bucket_burst_tokens", GAUGE, ("handler",), "Tokens that the bucket holds when full."
    )
    LANES_HELD = Description(
        "espf_lanes_held",
        GAUGE,
        ("instance", "handler"),
        "Lanes that a living instance owns, of 64.",
    )
    LANES_FREE = Description(
        "espf_lanes_free", GAUGE, ("handler",), "Lanes that no living instance owns, of 64."
    )
    # ---- what the database shows: the rest ----
    DATABASE_UP = Description(
        "espf_database_up",
        GAUGE,
        (),
        "1 if the database answered this scrape; if not, all that it shows is left out.",
    )
    INSTANCES = Description("espf_instances", GAUGE, (), "Instances that live.")
    INSTANCE_START = Description(
        "espf_instance_start_time_seconds",
        GAUGE,
        ("instance", "version"),
        "When a living instance was started, in seconds since 1970.",
    )
    OLDEST_TRANSACTION = Description(
        "espf_oldest_transaction_seconds",
        GAUGE,
        (),
        "Age of the open writing transaction that holds all readers back, in whatever database of "
        "the PostgreSQL cluster; 0 if there is none, and always on SQLite.",
    )
    HORIZON_LAG = Description(
        "espf_horizon_lag_events",
        GAUGE,
        (),
        "Numbers of events that were drawn and cannot be read yet, because an older transaction is "
        "open; 0 on SQLite.",
    )
    PARTITIONS_AHEAD = Description(
        "espf_partitions_ahead",
        GAUGE,
        (),
        "Partitions of 4,194,304 events that are ready for later events; not on SQLite.",
    )
