"""Where data is: on which workers' machines, hosts, zones and regions."""

import itertools
from collections import Counter
from enum import IntEnum

from devteam_router.domain import Worker


class Distance(IntEnum):
    """How far a worker is from a data source."""

    WORKER = 0
    HOST = 1
    ZONE = 2
    REGION = 3
    FAR = 4


class Sources:
    """A data source is where a worker that has it is, so the whole fleet tells where it can be found.

    `version` of a source changes when the places do.
    """

    def __init__(self) -> None:
        self._hosts: dict[str, Counter[str]] = {}
        self._zones: Counter[tuple[str, str, str]] = Counter()
        self._regions: Counter[tuple[str, str]] = Counter()
        self._holders: Counter[str] = Counter()
        self._versions: dict[str, int] = {}
        self._changes = itertools.count(1)

    def add(self, worker: Worker) -> None:
        """A worker has come."""
        self._count(worker, 1)

    def remove(self, worker: Worker) -> None:
        """It has left."""
        self._count(worker, -1)

    def on_host(self, host: str) -> frozenset[str]:
        """What workers on a host have."""
        return frozenset(self._hosts.get(host, ()))

    def version(self, source: str) -> int:
        """Tells whether the places of a source are still the same; 0 while nobody has it."""
        return self._versions.get(source, 0)

    def distance(self, source: str, worker: Worker, host_sources: frozenset[str]) -> Distance:
        """How far a worker is from a source; `host_sources` are those on its host."""
        if source in worker.data_sources:
            return Distance.WORKER
        if source in host_sources:
            return Distance.HOST
        place = worker.location
        if place.zone and self._zones[source, place.region, place.zone]:
            return Distance.ZONE
        if place.region and self._regions[source, place.region]:
            return Distance.REGION
        return Distance.FAR

    def _count(self, worker: Worker, change: int) -> None:
        place = worker.location
        for source in worker.data_sources:
            self._versions[source] = next(self._changes)
            _add(self._holders, source, change)
            if not self._holders[source]:
                del self._versions[source]
            _add(self._zones, (source, place.region, place.zone), change)
            _add(self._regions, (source, place.region), change)
            if place.host:
                sources = self._hosts.setdefault(place.host, Counter())
                _add(sources, source, change)
                if not sources:
                    del self._hosts[place.host]


def _add(counts: Counter, key: object, change: int) -> None:  # type: ignore[type-arg]  # of keys of any kind
    counts[key] += change
    if not counts[key]:
        del counts[key]
