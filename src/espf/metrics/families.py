"""Counts and vitals in Prometheus's words."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import orjson
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)

from espf.eventlog.vitals import HandlerVitals, InstanceVitals
from espf.metrics.catalogue import COUNTER, Metric
from espf.metrics.counts import SECOND_US, Durations, HandlerCounts, InstanceCounts
from espf.metrics.reading import Reading

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily
Row = tuple[Sequence[str], float]


def family(metric: Metric, rows: Iterable[Row]) -> Family:
    """A counter or gauge in prometheus_client's words; `rows` are label values and value."""
    one = metric.value
    kind = CounterMetricFamily if one.kind == COUNTER else GaugeMetricFamily
    made = kind(one.name, one.meaning, labels=one.labels)
    for labels, value in rows:
        made.add_metric(labels, value)
    return made


def histogram(metric: Metric, rows: Iterable[tuple[Sequence[str], Durations]]) -> Family:
    """A histogram in prometheus_client's words."""
    one = metric.value
    made = HistogramMetricFamily(one.name, one.meaning, labels=one.labels)
    for labels, durations in rows:
        buckets = [(_end(end), count) for end, count in durations.cumulative()]
        made.add_metric(labels, buckets, durations.sum_us / SECOND_US)
    return made


def _end(end: float) -> str:
    return "+Inf" if end == float("inf") else repr(end)


def count_families(counts: Mapping[str, InstanceCounts]) -> Iterator[Family]:
    """What instances, by their names, have counted."""
    handlers = [
        (instance, name, one)
        for instance, found in counts.items()
        for name, one in list(found.handlers.items())
    ]
    yield family(Metric.ATTEMPTS, _outcomes(handlers))
    yield histogram(Metric.ATTEMPT_SECONDS, [([i, n], one.latency) for i, n, one in handlers])
    yield family(Metric.EVENTS_READ, [([i, n], one.events_read) for i, n, one in handlers])
    yield family(Metric.TOKEN_WAIT, [([i, n], one.token_wait_s) for i, n, one in handlers])
    yield histogram(Metric.SETTLEMENTS, [([i], one.settlements) for i, one in counts.items()])


def _outcomes(handlers: Iterable[tuple[str, str, HandlerCounts]]) -> Iterator[Row]:
    for instance, name, one in handlers:
        for outcome in ("delivered", "rejected", "retry", "unknown", "skipped"):
            # All of them from the start: a rate of what is not there yet has no first step.
            yield [instance, name, outcome], one.outcomes.get(outcome, 0)


def vitals_families(
    reading: Reading | None, counts: Mapping[str, InstanceCounts]
) -> Iterator[Family]:
    """What the database shows (None: it did not answer), and what instances know of it."""
    yield family(Metric.DATABASE_UP, [([], int(reading is not None))])
    if reading is None:
        return
    vitals = reading.vitals
    yield from _handler_families(vitals.handlers, vitals.read_us)
    yield from _bucket_families(vitals.handlers, {**reading.counts, **counts})
    yield from _lane_families(vitals.handlers, reading.living)
    yield from _instance_families(reading.living, vitals.handlers)
    age_s = 0.0 if vitals.oldest_writer is None else vitals.oldest_writer.age_s or 0.0
    yield family(Metric.OLDEST_TRANSACTION, [([], age_s)])
    yield family(Metric.HORIZON_LAG, [([], vitals.horizon_lag)])
    ahead = vitals.partitions_ahead
    yield family(Metric.PARTITIONS_AHEAD, [] if ahead is None else [([], ahead)])


def _handler_families(handlers: Iterable[HandlerVitals], now_us: int) -> Iterator[Family]:
    found = [(one, one.health) for one in handlers]
    rows: Mapping[Metric, list[float]] = {
        Metric.LAG_EVENTS: [health.backlog for _, health in found],
        Metric.LAG_SECONDS: [_age_s(health.oldest_us, now_us) for _, health in found],
        Metric.PARKED: [health.parked for _, health in found],
        Metric.PARKED_DUE: [one.parked_due for one, _ in found],
        Metric.BREAKER_OPEN: [health.breaker == "open" for _, health in found],
        Metric.ENABLED: [health.handler.enabled for _, health in found],
        Metric.PAUSED: [health.handler.paused for _, health in found],
    }
    names = [[health.handler.name] for _, health in found]
    for metric, values in rows.items():
        yield family(metric, zip(names, values, strict=True))


def _age_s(since_us: int | None, now_us: int) -> float:
    return 0.0 if since_us is None else max(0, now_us - since_us) / SECOND_US


def _bucket_families(
    handlers: Iterable[HandlerVitals], counts: Mapping[str, InstanceCounts]
) -> Iterator[Family]:
    levels: list[Row] = []
    bursts: list[Row] = []
    for one in handlers:
        name = one.health.handler.name
        told = [c.handlers[name] for c in counts.values() if name in c.handlers]
        bucket = next((found for found in told if found.token_rate is not None), None)
        if bucket is None or bucket.token_rate is None:
            continue  # no limit, or nobody who knows it
        drawn = bucket.token_burst if one.tokens is None else one.tokens
        level = min(bucket.token_burst, drawn + one.tokens_age_s * bucket.token_rate)
        levels.append(([name], level))
        bursts.append(([name], bucket.token_burst))
    yield family(Metric.BUCKET_TOKENS, levels)
    yield family(Metric.BUCKET_BURST, bursts)


def _lane_families(
    handlers: Iterable[HandlerVitals], living: Iterable[InstanceVitals]
) -> Iterator[Family]:
    names = {one.row.token: one.row.name for one in living}
    held: Counter[tuple[str, str]] = Counter()
    free: list[Row] = []
    for one in handlers:
        handler = one.health.handler.name
        for token, lanes in one.lanes.items():
            if token in names:
                held[names[token], handler] += lanes
        nobodys = sum(lanes for token, lanes in one.lanes.items() if token not in names)
        free.append(([handler], nobodys))
    yield family(Metric.LANES_HELD, [(list(labels), count) for labels, count in held.items()])
    yield family(Metric.LANES_FREE, free)


def _instance_families(
    living: tuple[InstanceVitals, ...], handlers: Iterable[HandlerVitals]
) -> Iterator[Family]:
    yield family(Metric.INSTANCES, [([], len(living))])
    starts = {(one.row.name, one.row.version): one.row.started_us / SECOND_US for one in living}
    yield family(Metric.INSTANCE_START, [(list(key), start) for key, start in starts.items()])
    names = {one.health.handler.i_handler: one.health.handler.name for one in handlers}
    unable = {
        (one.row.name, names[i_handler])
        for one in living
        for i_handler in orjson.loads(one.row.unable)
        if i_handler in names
    }
    yield family(Metric.UNUSABLE, [(list(key), 1) for key in sorted(unable)])
