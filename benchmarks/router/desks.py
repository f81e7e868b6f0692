"""The Router's core as it decides: placer, leases and fleet, without anything around them."""

import itertools
from random import Random
from time import perf_counter_ns

from devteam_router.domain import AttemptId, Signature, Worker, WorkerInstance
from devteam_router.fleet import Fleet
from devteam_router.frames import Frame
from devteam_router.leases import Leases
from devteam_router.placing import Placer
from devteam_router.routing import Policy, Routing
from devteam_router.strategies.capability_match import CapabilityMatch
from devteam_router.strategies.least_loaded import LeastLoaded
from devteam_router.strategies.locality import Locality
from devteam_router.strategies.round_robin import RoundRobin

from benchmarks.router.fleets import SLOTS

# Decisions before a block begins, so that what the last one left in the processor's caches does not count.
_WARM_UP = 100


class Everyone:
    """All workers are on the line, and what they are told goes nowhere."""

    def connected(self, worker: WorkerInstance) -> bool:
        """They are."""
        return True

    def send(self, worker: WorkerInstance, frame: Frame) -> bool:
        """It went."""
        return True


def placer(fleet: Fleet, leases: Leases, routing: Routing, random: Random) -> Placer:
    """A placer that knows all strategies."""
    strategies = (RoundRobin(), LeastLoaded(), CapabilityMatch(), Locality(fleet.sources))
    return Placer(fleet, leases, routing, {strategy.name: strategy for strategy in strategies}, random)


class Desk:
    """Places runs of some signatures on a fleet, half of whose slots are busy."""

    def __init__(self, workers: list[Worker], signatures: list[Signature]) -> None:
        self._random = Random(1)
        self._leases = Leases()
        fleet = Fleet(self._leases, Everyone(), lambda _: None)
        for worker in workers:
            fleet.put(worker)
        self._placer = placer(fleet, self._leases, Routing(Policy()), self._random)
        self._signatures = itertools.cycle(signatures)
        self._numbers = itertools.count()
        self._running: list[AttemptId] = []
        while len(self._running) < SLOTS * len(workers) // 2:
            self._running.append(self._started())

    def decide(self, count: int) -> list[int]:
        """Place one run and end another one, so often; returns the nanoseconds that each took."""
        for _ in range(_WARM_UP):
            self._timed()
        return [self._timed() for _ in range(count)]

    def _timed(self) -> int:
        placer, leases = self._placer, self._leases
        signature, attempt = next(self._signatures), self._attempt()
        index = int(self._random.random() * len(self._running))
        ends = self._running[index]
        queue = signature.queues[0]
        began = perf_counter_ns()
        choice = placer.choose(signature, queue)
        assert choice is not None, "half of the slots are free"
        placer.charge(attempt, choice.seat)
        leases.release(ends)
        took = perf_counter_ns() - began
        self._running[index] = attempt
        return took

    def _started(self) -> AttemptId:
        signature, attempt = next(self._signatures), self._attempt()
        choice = self._placer.choose(signature, signature.queues[0])
        assert choice is not None, "fewer than half of the slots are busy"
        self._placer.charge(attempt, choice.seat)
        return attempt

    def _attempt(self) -> AttemptId:
        return AttemptId(f"task-{next(self._numbers)}", 1)
