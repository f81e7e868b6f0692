"""Everything that places runs, put together."""

from collections.abc import Callable
from random import Random

from devteam.mesh.clock import Clock
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


class Placement:
    """Workers, lines, gates and what brings them together. `on_change` is told of each worker that is another one."""

    def __init__(
        self,
        policy: Policy,
        leases: Leases,
        lineup: Lineup,
        placed: Placed,
        on_change: Callable[[str], None],
        clock: Clock,
        random: Random,
    ) -> None:
        self.routing = Routing(policy)
        self.gates = Gates(self.routing, clock)
        self.lines = Lines(Fairness(self.routing.weight))
        self.fleet = Fleet(leases, lineup, on_change)
        strategies = (RoundRobin(), LeastLoaded(), CapabilityMatch(), Locality(self.fleet.sources))
        by_name = {strategy.name: strategy for strategy in strategies}
        self.placer = Placer(self.fleet, leases, self.routing, by_name, random)
        self.matcher = Matcher(self.fleet, self.lines, self.placer, self.gates, self.routing, lineup, placed, clock)
