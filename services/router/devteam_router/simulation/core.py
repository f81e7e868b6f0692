"""The Router's placement, put together without Planners, streams and sessions."""

from random import Random

from devteam.mesh.clock import Clock
from devteam_router.domain import AttemptId
from devteam_router.fleet import Fleet
from devteam_router.gates import Gates
from devteam_router.leases import Leases
from devteam_router.lines import Lines
from devteam_router.matching import Matcher
from devteam_router.placing import Placer
from devteam_router.ports import Lineup, Placed
from devteam_router.routing import Policy, Routing
from devteam_router.shares import Fairness
from devteam_router.strategies.capability_match import CapabilityMatch
from devteam_router.strategies.least_loaded import LeastLoaded
from devteam_router.strategies.locality import Locality
from devteam_router.strategies.round_robin import RoundRobin


class PlacementCore:
    """The parts of `service.RouterCore` that decide, all of them the real ones."""

    def __init__(self, policy: Policy, lineup: Lineup, placed: Placed, clock: Clock, random: Random) -> None:
        self.leases = Leases()
        self.routing = Routing(policy)
        lines, gates = Lines(Fairness(self.routing.weight)), Gates(self.routing, clock)
        self.fleet = Fleet(self.leases, lineup, lambda worker_id: self.matcher.worker_changed(worker_id))  # noqa: PLW0108 - bound late
        strategies = (RoundRobin(), LeastLoaded(), CapabilityMatch(), Locality(self.fleet.sources))
        by_name = {strategy.name: strategy for strategy in strategies}
        placer = Placer(self.fleet, self.leases, self.routing, by_name, random)
        self.matcher = Matcher(self.fleet, lines, placer, gates, self.routing, lineup, placed, clock)

    def free(self, attempt: AttemptId) -> None:
        """Give a slot back."""
        if (lease := self.leases.release(attempt)) is not None:
            self.matcher.slot_freed(lease.worker.worker_id)
