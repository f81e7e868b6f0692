"""The Router's whole core in one event loop, with workers that attach and Planners that dispatch. No network."""

import asyncio
from collections.abc import Iterable
from random import Random

from devteam_router.dispatch import AssignedTo, HasStarted, Reported, Stage
from devteam_router.domain import AttemptId, Run, Worker
from devteam_router.graces import Graces
from devteam_router.link import Link
from devteam_router.ports import WorkerChanged
from devteam_router.routing import Policy
from devteam_router.service import RouterCore

from devteam.mesh.clock import SystemClock

# Room for all that waits here, whatever queue or tenant it counts against.
_GRACES = Graces(max_waiting=10**6, max_waiting_per_queue=10**6, max_waiting_per_tenant=10**6)


class Office:
    """One Router. To be made in the event loop that it runs in."""

    def __init__(self) -> None:
        self.core = RouterCore(Policy(), _GRACES, SystemClock(), Random(1), "router-1")
        self._links: dict[str, Link] = {}

    def hire(self, workers: Iterable[Worker]) -> None:
        """Each registers and attaches."""
        for worker in workers:
            self.core.hear(WorkerChanged(worker))
            self._links[worker.id] = self.core.workers.attach(worker.instance, [])

    def wait(self, run: Run) -> None:
        """A run is dispatched, by a Planner that does not listen."""
        self.core.attempts.open(run.id, run, Stage.WAITING)
        self.core.matcher.submit(run)

    def oldest(self, worker_id: str) -> AttemptId:
        """What a worker has had the longest."""
        return self.core.leases.held_by(self._links[worker_id].worker)[0].id

    def free(self, worker_id: str, attempt: AttemptId) -> None:
        """A worker says that it is through with a run."""
        self.core.workers.report(self._links[worker_id], attempt, Reported(0, None))

    def forget(self, attempt: AttemptId) -> None:
        """A Planner has stored the outcome of a run."""
        self.core.planners.acknowledge(attempt, 0, report=True)

    async def follow(self, run: Run, *, takes: float = 0.0) -> None:
        """Dispatch a run and follow it to its end; its worker accepts it, and reports so many seconds later."""
        async for event in self.core.planners.dispatch(run, last_seq=0, assigned=None):
            match event:
                case AssignedTo(worker):
                    link = self._links[worker.worker_id]
                    self.core.workers.accepted(link, run.id)
                case HasStarted():
                    if takes:
                        await asyncio.sleep(takes)
                    self.free(worker.worker_id, run.id)
                case Reported():
                    self.forget(run.id)
