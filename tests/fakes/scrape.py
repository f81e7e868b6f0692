"""What Prometheus gets of a process."""

import urllib.request
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from devteam.mesh.metrics.provider import exposed, metering

_Key = tuple[str, frozenset[tuple[str, str]]]


@dataclass(frozen=True)
class Scrape:
    """Values by the name of their series and its labels; those that are empty are left out, as Prometheus does it."""

    text: str
    values: dict[_Key, float]

    def value(self, name: str, **labels: str) -> float | None:
        """The value of exactly this series; None when it is not there."""
        return self.values.get((name, frozenset(labels.items())))

    def total(self, name: str, **labels: str) -> float:
        """The sum over all series of this name that have these labels."""
        wanted = labels.items()
        return sum(value for (found, held), value in self.values.items() if found == name and wanted <= set(held))

    def of(self, name: str, label: str) -> dict[str, float]:
        """Every series of this name, by one of its labels."""
        return {dict(held)[label]: value for (found, held), value in self.values.items() if found == name}

    def __len__(self) -> int:
        return len(self.values)


def parsed(text: str) -> Scrape:
    """The text as Prometheus reads it. Raises ValueError for what it would refuse, and for a series given twice."""
    values: dict[_Key, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = sample.name, frozenset((label, value) for label, value in sample.labels.items() if value)
            if key in values:
                raise ValueError(f"{sample.name}{sample.labels} is there twice")
            values[key] = sample.value
    return Scrape(text, values)


def metered() -> AbstractAsyncContextManager[None]:
    """Collect metrics of the test's own process. A loop is waited for: what is slow here is the machine."""
    return metering("test", exposed=True, patience=60.0)


async def scraped() -> Scrape:
    """The process that the test runs in, scraped now."""
    return parsed((await exposed()).decode())


def scraped_from(url: str) -> Scrape:
    """Another one, over HTTP; waits for the answer."""
    with urllib.request.urlopen(url, timeout=30) as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        return parsed(answer.read().decode())
