"""Asks for metrics as Prometheus does. Import it as `metrics_rig`."""

from collections.abc import Mapping
from typing import NamedTuple
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from prometheus_client.parser import text_string_to_metric_families

TIMEOUT_S = 20


class Answer(NamedTuple):
    status: int
    text: str
    content_type: str


def ask(url: str, headers: Mapping[str, str] | None = None) -> Answer:
    """GET it, whatever the status."""
    try:
        with urlopen(Request(url, headers=dict(headers or {})), timeout=TIMEOUT_S) as answer:
            return Answer(answer.status, answer.read().decode(), answer.headers["content-type"])
    except HTTPError as error:
        with error:
            return Answer(error.code, error.read().decode(), error.headers["content-type"])


class Scrape:
    """What one scrape gave."""

    def __init__(self, text: str) -> None:
        self.types: dict[str, str] = {}
        """Families by name, counters with their `_total`."""
        self.samples: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
        for family in text_string_to_metric_families(text):
            total = "_total" if family.type == "counter" else ""
            self.types[family.name + total] = family.type
            for sample in family.samples:
                key = (sample.name, frozenset(sample.labels.items()))
                assert key not in self.samples, f"{key} is there twice"
                self.samples[key] = sample.value

    def __call__(self, name: str, **labels: str) -> float:
        """The value of a series that must be there."""
        return self.samples[name, frozenset(labels.items())]

    def series(self, name: str) -> dict[frozenset[tuple[str, str]], float]:
        """All series of a name, by their labels."""
        return {labels: value for (one, labels), value in self.samples.items() if one == name}


def scrape(url: str, headers: Mapping[str, str] | None = None) -> Scrape:
    answer = ask(url, headers)
    assert answer.status == 200, answer.text
    return Scrape(answer.text)
