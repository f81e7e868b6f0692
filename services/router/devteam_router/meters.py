"""What a Router tells of itself when somebody reads its metrics."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from devteam.mesh.clock import Clock
from devteam.mesh.metrics import catalog
from devteam.mesh.metrics.labels import OTHER, Bounded
from devteam.mesh.metrics.readings import Reading
from devteam_router.preferences import DEFAULT_QUEUE
from devteam_router.service import RouterCore

# Queues that nobody serves or has set up are names that some caller sent: so many of them are told apart. Half of what
# `metrics.labels` allows, so that a careless caller takes no place from a queue that scales by its depth.
_MOST_UNSERVED = 100


class _Demand(NamedTuple):
    """What a queue asks for; `wanted` slots are those that more workers could fill; `wait` in seconds."""

    waiting: int
    running: int
    wanted: int
    wait: float


class Meters:
    """Reads a Router, on its own event loop.

    Costs microseconds for each queue and each kind of worker in it, and some milliseconds for 100,000 attempts: neither
    workers nor the runs that wait are looked at one by one.
    """

    def __init__(self, core: RouterCore, clock: Clock) -> None:
        self._core = core
        self._clock = clock
        self._unserved = Bounded(_MOST_UNSERVED)

    def read(self) -> Iterator[Reading]:
        """Everything, as of now."""
        core = self._core
        yield from self._queues()
        yield Reading(catalog.ROUTER_LINKS, len(core.links))
        yield Reading(catalog.MODELS_THROTTLED, len(core.gates.throttles()))
        yield Reading(catalog.FENCED_WORDS, core.workers.refused_words)
        yield Reading(catalog.STREAM_BACKLOG, core.attempts.backlog, ("router",))

    def _queues(self) -> Iterator[Reading]:
        core, now = self._core, self._clock.monotonic()
        running = core.leases.running()
        set_up = core.fleet.queues() | core.routing.named_queues() | {DEFAULT_QUEUE}
        for name in set_up:
            yield from _told(name, self._demand(name, running[name], now))
            yield from self._room(name)
        others = []
        for name in (core.lines.queues() | running.keys()) - set_up:
            demand = self._demand(name, running[name], now)
            if self._unserved.of(name) == OTHER:
                others.append(demand)
            else:
                yield from _told(name, demand)
        if others:
            yield from _told(OTHER, _together(others))

    def _demand(self, name: str, running: int, now: float) -> _Demand:
        since = self._core.lines.oldest_in(name)
        waiting, wanted = self._core.lines.waiting_in(name), self._core.demand.of(name)
        return _Demand(waiting, running, wanted, 0.0 if since is None else now - since)

    def _room(self, name: str) -> Iterator[Reading]:
        rows = self._core.fleet.rows(name).entries
        yield Reading(catalog.QUEUE_SLOTS_FREE, sum(row.vacant for _, row in rows), (name,))
        yield Reading(catalog.QUEUE_WORKERS, sum(kind.open for kind, _ in rows), (name,))


def _told(name: str, demand: _Demand) -> Iterator[Reading]:
    yield Reading(catalog.QUEUE_DEPTH, demand.waiting, (name,))
    yield Reading(catalog.QUEUE_DEMAND_SLOTS, demand.wanted, (name,))
    yield Reading(catalog.QUEUE_OLDEST_WAIT, demand.wait, (name,))
    yield Reading(catalog.QUEUE_SLOTS_USED, demand.running, (name,))


def _together(demands: Iterable[_Demand]) -> _Demand:
    waiting, running, wanted, waits = zip(*demands, strict=True)
    return _Demand(sum(waiting), sum(running), sum(wanted), max(waits))
