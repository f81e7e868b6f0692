"""Fleet and placer without anybody who waits: workers in, who is chosen out."""

import itertools
from random import Random

from devteam_router.choices import Choice
from devteam_router.domain import AttemptId, Signature, Worker
from devteam_router.fields import Field
from devteam_router.fleet import Fleet
from devteam_router.leases import Leases
from devteam_router.links import Links
from devteam_router.placing import Placer
from devteam_router.routing import Policy, Routing
from devteam_router.strategies.capability_match import CapabilityMatch
from devteam_router.strategies.least_loaded import LeastLoaded
from devteam_router.strategies.locality import Locality
from devteam_router.strategies.round_robin import RoundRobin

from tests.fakes.router_samples import a_signature


class PlacingDesk:
    """Everyone who comes is on the line. What is `taken` without a choice is called `busy` work."""

    def __init__(self, policy: Policy | None = None, seed: int = 7) -> None:
        self.links = Links()
        self.leases = Leases()
        self.fleet = Fleet(self.leases, self.links, lambda _: None)
        self.routing = Routing(policy or Policy())
        strategies = (RoundRobin(), LeastLoaded(), CapabilityMatch(), Locality(self.fleet.sources))
        by_name = {strategy.name: strategy for strategy in strategies}
        self.placer = Placer(self.fleet, self.leases, self.routing, by_name, Random(seed))
        self._tasks = itertools.count(1)

    def come(self, *workers: Worker) -> None:
        """These register and attach."""
        for worker in workers:
            self.links.open(worker.instance)
            self.fleet.put(worker)

    def hang_up(self, worker_id: str) -> None:
        """A worker's stream breaks."""
        self.links._links.pop(worker_id)
        self.fleet.judge(worker_id)

    def choose(self, signature: Signature | None = None, queue: str = "default") -> Choice | None:
        """Who would be taken now, with what that was compared with."""
        wanted = signature or a_signature(queue)
        choice = self.placer.choose(wanted, queue)
        if choice is not None:
            self.placer.compare(choice, wanted)
        return choice

    def give(self, signature: Signature | None = None, queue: str = "default") -> tuple[str, AttemptId]:
        """Take whoever is best: the worker, and the attempt that it has now."""
        choice = self.choose(signature, queue)
        assert choice is not None, "nobody has a free slot"
        attempt = AttemptId(f"t{next(self._tasks)}", 1)
        self.placer.charge(attempt, choice.seat)
        return choice.seat.station.worker.id, attempt

    def pick(self, signature: Signature | None = None, queue: str = "default") -> str:
        """Take whoever is best."""
        return self.give(signature, queue)[0]

    def explain(self, signature: Signature, queue: str = "default") -> tuple[str, str]:
        """Who would be taken now, and why."""
        choice = self.choose(signature, queue)
        assert choice is not None, "nobody has a free slot"
        why = choice.strategy.because(signature, queue, choice.chosen(), choice.eligible)
        return choice.seat.station.worker.id, why

    def busy(self, worker_id: str, runs: int = 1, queue: str = "default") -> list[AttemptId]:
        """Have a worker run something, whoever would be best."""
        station = self.fleet.station(worker_id)
        seat = station.seat(queue) if station is not None else None
        assert seat is not None
        attempts = [AttemptId(f"t{next(self._tasks)}", 1) for _ in range(runs)]
        for attempt in attempts:
            self.placer.charge(attempt, seat)
        return attempts

    def free(self, *attempts: AttemptId) -> None:
        """These have come to their end."""
        for attempt in attempts:
            self.leases.release(attempt)

    def field(self, signature: Signature, queue: str = "default") -> Field:
        """The workers that a run could go to."""
        return self.placer.field(signature, queue)
