"""The Router's domain, put together."""

import asyncio
from contextlib import suppress
from random import Random

from devteam.mesh.clock import Clock
from devteam_router.attempts import Attempts
from devteam_router.attendance import Attendance
from devteam_router.explain import Explainer
from devteam_router.frames import Drain, DrainReason
from devteam_router.graces import Graces
from devteam_router.leases import Leases
from devteam_router.links import Links
from devteam_router.peers import Peers
from devteam_router.placement import Placement
from devteam_router.planner_side import PlannerSide
from devteam_router.ports import (
    FleetEvent,
    FleetSnapshot,
    RoutersChanged,
    RoutingChanged,
    WorkerChanged,
    WorkerRemoved,
)
from devteam_router.preferences import Preferences
from devteam_router.queues import Queues
from devteam_router.routing import Policy
from devteam_router.scaling.demand import Demand
from devteam_router.worker_side import WorkerSide

# For workers to hear that this Router goes down.
_LAST_WORDS = 0.5


class RouterCore:
    """Planners on one side, workers on the other, slots and lines between them. One event loop is its one writer."""

    def __init__(self, policy: Policy, graces: Graces, clock: Clock, random: Random, router_id: str) -> None:
        self.graces = graces
        self.leases, self.links = Leases(), Links()
        # The lambdas name parts that do not exist yet: attempts and fleet call on those that stand on them.
        self.attempts = Attempts(
            self.leases,
            self.links,
            on_free=lambda worker_id: self.matcher.slot_freed(worker_id),  # noqa: PLW0108 - bound late
            withdraw=lambda attempt: self.matcher.withdraw(attempt),  # noqa: PLW0108 - bound late
            remembered=graces.remembered,
        )
        placement = Placement(
            policy,
            self.leases,
            self.links,
            self.attempts,
            lambda worker_id: self.workers.fleet_changed(worker_id),  # noqa: PLW0108 - bound late
            clock,
            random,
        )
        self.routing, self.gates, self.lines = placement.routing, placement.gates, placement.lines
        self.fleet, self.placer, self.matcher = placement.fleet, placement.placer, placement.matcher
        self.peers = Peers(router_id, self.gates)
        self.planners = PlannerSide(
            self.attempts, self.matcher, self.lines, self.links, self.peers, graces, clock, self.fleet.serves
        )
        self.attendance = Attendance(self.leases, clock, graces.link)
        self.workers = WorkerSide(
            self.fleet,
            self.links,
            self.leases,
            self.attempts,
            self.matcher,
            self.attendance,
            self.peers,
            graces,
            clock,
            router_id,
        )
        self.explainer = Explainer(self.attempts, self.matcher, self.fleet, self.placer)
        self.queues = Queues(self.fleet, self.leases, self.lines, self.routing)
        self.demand = Demand(self.leases, self.lines, self.routing)
        self._named: set[str] = set()

    @property
    def preferences(self) -> Preferences:
        """Which queues suit a model, as of now."""
        return self.routing.preferences

    def hear(self, event: FleetEvent) -> None:
        """Take in what the Registry says."""
        match event:
            case FleetSnapshot(workers, complete, first):
                if first:
                    self._named = set()
                for worker in workers:
                    self._named.add(worker.id)
                    self.fleet.put(worker)
                if complete:
                    self.fleet.keep_only(self._named)
                    self._named = set()
                    self.attendance.say_everything()
            case WorkerChanged(worker):
                self.fleet.put(worker)
            case WorkerRemoved(worker_id):
                self.fleet.remove(worker_id)
            case RoutingChanged(wishes):
                self.matcher.reroute(wishes)
                self.demand.turned()
            case RoutersChanged(addresses):
                self.peers.are(addresses)
                self.demand.turned()

    async def drain(self) -> None:
        """Take no further runs, and tell the workers to expect another Router: those who read, in half a second."""
        self.planners.drain()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS):
                await self.links.broadcast(Drain(DrainReason.ROUTER))
