"""A Prometheus: what its targets told last, what queries make of that, and which alerts fire."""

from collections.abc import Mapping
from typing import Any

from tests.fakes.promql_value import Labels, Vector, worked_out
from tests.fakes.scrape import Scrape


class Prometheus:
    """Holds what each target told when it was scraped last."""

    def __init__(self) -> None:
        self._targets: dict[str, Scrape] = {}

    def scraped(self, target: str, told: Scrape | None) -> None:
        """A target was scraped. None: it did not answer, and what it told before counts no longer."""
        self._targets.pop(target, None)
        if told is not None:
            self._targets[target] = told

    def ask(self, query: str) -> Vector:
        """What it answers now. Raises ValueError for a query that is not understood here."""
        return worked_out(
            query,
            {
                (name, labels | {("instance", target)}): value
                for target, told in self._targets.items()
                for (name, labels), value in told.values.items()
            },
        )


class Alert:
    """One alert of a file of rules."""

    def __init__(self, rule: Mapping[str, Any]) -> None:
        self.name: str = rule["alert"]
        self._expression: str = rule["expr"]
        self._patience = 60.0 * int(rule["for"].removesuffix("m"))
        self._since: dict[Labels, float] = {}

    def evaluated(self, prometheus: Prometheus, now: float) -> Vector:
        """What it fires for, at `now` in seconds: that which held at every evaluation for as long as the rule says."""
        holds = prometheus.ask(self._expression)
        self._since = {labels: self._since.get(labels, now) for labels in holds}
        return {labels: value for labels, value in holds.items() if now - self._since[labels] >= self._patience}
