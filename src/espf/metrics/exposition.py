"""The text that a scrape gets, in the format that it asked for."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from espf.metrics.counts import InstanceCounts
from espf.metrics.families import Family, count_families, vitals_families
from espf.metrics.reading import Reading


class Page(NamedTuple):
    """What is answered."""

    content_type: str
    body: bytes


class _Gathered(Collector):
    """Families that were made already, or are made now."""

    def __init__(self, families: Callable[[], Iterable[Family]]) -> None:
        self._families = families

    def collect(self) -> Iterator[Family]:
        yield from self._families()

    def describe(self) -> Iterator[Family]:
        """Nothing is asked of the database only to be registered."""
        return iter(())


def instance_page(name: str, counts: InstanceCounts, reading: Reading | None, accept: str) -> Page:
    """The counters of one instance as they are now, its process, and what the database shows."""
    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)
    return _page(registry, {name: counts}, reading, accept)


def fleet_page(reading: Reading | None, accept: str) -> Page:
    """The counters of every living instance, and what the database shows."""
    counts = {} if reading is None else reading.counts
    return _page(CollectorRegistry(auto_describe=False), counts, reading, accept)


def _page(
    registry: CollectorRegistry,
    counts: Mapping[str, InstanceCounts],
    reading: Reading | None,
    accept: str,
) -> Page:
    registry.register(_Gathered(lambda: count_families(counts)))
    registry.register(_Gathered(lambda: vitals_families(reading, counts)))
    encoder, content_type = choose_encoder(accept)
    return Page(content_type, encoder(registry))
