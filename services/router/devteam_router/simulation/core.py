"""The Router's placement, without Planners, streams and sessions."""

from random import Random

from devteam.mesh.clock import Clock
from devteam_router.domain import AttemptId
from devteam_router.leases import Leases
from devteam_router.placement import Placement
from devteam_router.ports import Lineup, Placed
from devteam_router.routing import Policy


class PlacementCore:
    """The part of `service.RouterCore` that decides: the very same one."""

    def __init__(self, policy: Policy, lineup: Lineup, placed: Placed, clock: Clock, random: Random) -> None:
        self.leases = Leases()
        placement = Placement(
            policy,
            self.leases,
            lineup,
            placed,
            lambda worker_id: self.matcher.worker_changed(worker_id),  # noqa: PLW0108 - bound late
            clock,
            random,
        )
        self.fleet, self.routing, self.matcher = placement.fleet, placement.routing, placement.matcher

    def free(self, attempt: AttemptId) -> None:
        """Give a slot back."""
        if (lease := self.leases.release(attempt)) is not None:
            self.matcher.slot_freed(lease.worker.worker_id)
