"""What operators ask of a mesh: its workers and queues, and how tasks are placed."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import timedelta

from google.protobuf import field_mask_pb2

from devteam import fleet_wire, routing_wire
from devteam.connection import Connection, listed
from devteam.mesh.errors import InvalidInput, Violation
from devteam.models import Availability, QueueInfo, Throttle, WorkerInfo, Workers
from devteam.plans import duration
from devteam.routing import ModelLimit, QueuePolicy, Routing
from devteam.scalars import duration_to_proto
from devteam.specs import Strategy
from devteam.v1 import registry_pb2, router_pb2


class OperatorCalls(ABC):
    """The part of a client that looks at the fleet and says what is wanted of it.

    In every update, what is None stays as it is.
    """

    @property
    @abstractmethod
    def _mesh(self) -> Connection:
        """The line to the mesh."""

    async def get_workers(self, *, queue: str | None = None) -> Workers:
        """All workers that the mesh knows, or those that serve a queue, in the order of their ids.

        Its `notice` says what concerns the whole fleet, such as that nobody is declared dead for now, and why.
        """
        notice = ""

        async def page(size: int, token: str) -> tuple[list[WorkerInfo], str]:
            request = registry_pb2.ListWorkersRequest(page_size=size, page_token=token, queue=queue or "")
            answer = await self._mesh.call(self._mesh.registry.ListWorkers, request)
            nonlocal notice
            notice = answer.notice
            return [fleet_wire.worker_from_proto(worker) for worker in answer.workers], answer.next_page_token

        return Workers(await listed(page), notice)

    async def get_worker(self, worker_id: str) -> WorkerInfo:
        """One worker, with its status, the reason of it, and what comes next."""
        request = registry_pb2.GetWorkerRequest(worker_id=worker_id)
        return fleet_wire.worker_from_proto((await self._mesh.call(self._mesh.registry.GetWorker, request)).worker)

    async def update_worker(
        self,
        worker_id: str,
        *,
        availability: Availability | None = None,
        concurrency: int | None = None,
        labels: Mapping[str, str] | None = None,
        weight: float | None = None,
        drain_deadline: timedelta | None = None,
    ) -> WorkerInfo:
        """Set what you want of a worker; it stays so over its restarts.

        `weight` is what one of its slots counts for beside other workers', 0.01 to 100. A `concurrency` or `weight` of
        0 takes an earlier wish back; so does an empty label value. A `drain_deadline`, at most 7 days, goes with an
        availability of DRAINING: so long may what runs go on; None: as the worker's settings say.
        """
        request = registry_pb2.UpdateWorkerRequest(
            worker_id=worker_id,
            update_mask=_mask(
                availability=availability,
                concurrency=concurrency,
                labels=labels,
                weight=weight,
                drain_deadline=drain_deadline,
            ),
            availability=fleet_wire.availability_to_proto(availability),
            concurrency=concurrency or 0,
            labels=labels or {},
            weight=weight or 0.0,
            drain_deadline=duration_to_proto(drain_deadline),
        )
        return fleet_wire.worker_from_proto((await self._mesh.call(self._mesh.registry.UpdateWorker, request)).worker)

    async def drain_worker(self, worker_id: str, *, deadline: timedelta | None = None) -> WorkerInfo:
        """Give a worker no new work, let it finish or (at the deadline) hand back what runs, then let it leave.

        What is handed back starts anew elsewhere. None: the worker's own settings have a deadline.
        """
        return await self.update_worker(worker_id, availability=Availability.DRAINING, drain_deadline=deadline)

    async def list_queues(self) -> list[QueueInfo]:
        """All queues that a worker serves or a task waits in, by name."""

        async def page(size: int, token: str) -> tuple[list[QueueInfo], str]:
            request = router_pb2.ListQueuesRequest(page_size=size, page_token=token)
            answer = await self._mesh.call(self._mesh.router.ListQueues, request)
            return [fleet_wire.queue_from_proto(queue) for queue in answer.queues], answer.next_page_token

        return await listed(page)

    async def list_throttles(self) -> list[Throttle]:
        """The models of which nothing starts for now, because their provider asked for patience."""
        request = router_pb2.ListQueuesRequest(page_size=1)  # they come with the first page, however small
        answer = await self._mesh.call(self._mesh.router.ListQueues, request)
        return [fleet_wire.throttle_from_proto(throttle) for throttle in answer.throttles]

    async def get_routing(self) -> Routing:
        """How operators want tasks to be placed, over the whole fleet."""
        answer = await self._mesh.call(self._mesh.registry.GetRouting, registry_pb2.GetRoutingRequest())
        return routing_wire.routing_from_proto(answer.routing)

    async def update_routing(
        self,
        *,
        strategy: Strategy | str | None = None,
        locality_wait: timedelta | str | None = None,
        preferences: Mapping[str, Sequence[str]] | None = None,
        limits: Sequence[ModelLimit] | None = None,
    ) -> Routing:
        """Change how tasks are placed; routers follow at once, and it stays so over restarts.

        `preferences` (model pattern to queues) and `limits` replace all that there were. A `locality_wait` may be text
        such as "3s". An empty text takes an earlier wish back.
        """
        routing = Routing(
            strategy=strategy, locality_wait=_length(locality_wait), preferences=preferences or {}, limits=limits or ()
        )
        request = registry_pb2.UpdateRoutingRequest(
            routing=routing_wire.routing_to_proto(routing),
            update_mask=_mask(strategy=strategy, locality_wait=locality_wait, preferences=preferences, limits=limits),
        )
        answer = await self._mesh.call(self._mesh.registry.UpdateRouting, request)
        return routing_wire.routing_from_proto(answer.routing)

    async def update_queue(
        self,
        name: str,
        *,
        paused: bool | None = None,
        strategy: Strategy | str | None = None,
        locality_wait: timedelta | str | None = None,
        tenant_weights: Mapping[str, float] | None = None,
    ) -> QueuePolicy:
        """Change how one queue is served, e.g. pause it; it stays so over restarts, and needs no worker.

        `tenant_weights` replace all that there were; the rest as for `update_routing`.
        """
        policy = QueuePolicy(
            name=name,
            paused=bool(paused),
            strategy=strategy,
            locality_wait=_length(locality_wait),
            tenant_weights=tenant_weights or {},
        )
        request = registry_pb2.UpdateQueueRequest(
            policy=routing_wire.queue_policy_to_proto(policy),
            update_mask=_mask(
                paused=paused, strategy=strategy, locality_wait=locality_wait, tenant_weights=tenant_weights
            ),
        )
        answer = await self._mesh.call(self._mesh.registry.UpdateQueue, request)
        return routing_wire.queue_policy_from_proto(answer.policy)


def _mask(**wishes: object) -> field_mask_pb2.FieldMask:
    """The fields that are to be changed: those that are not None."""
    return field_mask_pb2.FieldMask(paths=[name for name, wish in wishes.items() if wish is not None])


def _length(wait: timedelta | str | None) -> timedelta | None:
    """Text as a length of time, an empty one as none. Raises InvalidInput."""
    if not isinstance(wait, str):
        return wait
    try:
        return duration(wait) if wait else None
    except ValueError as error:
        raise InvalidInput(Violation("locality_wait", "DURATION_FORMAT", str(error))) from None
