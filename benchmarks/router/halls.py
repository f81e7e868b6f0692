"""Lines and slots, and the one place where they meet, without what the Router knows of attempts."""

from collections.abc import Iterable
from random import Random
from time import perf_counter_ns

from devteam_router.choices import Choice
from devteam_router.domain import AttemptId, Decision, Run, Wait, Worker
from devteam_router.fleet import Fleet
from devteam_router.gates import Gates
from devteam_router.leases import Leases
from devteam_router.lines import Lines
from devteam_router.matching import Matcher
from devteam_router.routing import Policy, Routing
from devteam_router.shares import Fairness

from benchmarks.router.desks import Everyone, placer
from devteam.mesh.clock import SystemClock


class Audience:
    """Hears what becomes of runs, and does nothing about it; `chosen_at` is when the last one was chosen, in ns."""

    chosen_at = 0

    def shed(self, attempt: AttemptId, now: float) -> bool:
        """There is always time. Asked once a run is chosen, before anything is done about it."""
        self.chosen_at = perf_counter_ns()
        return False

    def waiting(self, attempt: AttemptId, wait: Wait, queue: str) -> None:
        """It may."""

    def assigned(self, run: Run, decision: Decision, choice: Choice) -> None:
        """It is."""

    def refiled(self, run: Run) -> None:
        """It is."""


class Hall:
    """A matcher with what it stands on. To be made in an event loop, whose clock it reads."""

    def __init__(self, workers: Iterable[Worker]) -> None:
        everyone, routing, clock = Everyone(), Routing(Policy()), SystemClock()
        self.audience = Audience()
        self._leases = Leases()
        self._fleet = Fleet(self._leases, everyone, lambda _: None)
        self._matcher = Matcher(
            self._fleet,
            Lines(Fairness(routing.weight)),
            placer(self._fleet, self._leases, routing, Random(1)),
            Gates(routing, clock),
            routing,
            everyone,
            self.audience,
            clock,
        )
        for worker in workers:
            self._fleet.put(worker)

    def wait(self, run: Run) -> None:
        """A run comes."""
        self._matcher.submit(run)

    def oldest(self, worker_id: str) -> AttemptId:
        """What a worker has had the longest."""
        worker = self._fleet.get(worker_id)
        assert worker is not None
        return self._leases.held_by(worker.instance)[0].id

    def free(self, worker_id: str, attempt: AttemptId) -> None:
        """A run of a worker ends."""
        self._leases.release(attempt)
        self._matcher.slot_freed(worker_id)

    def forget(self, attempt: AttemptId) -> None:
        """There is nothing to forget."""
