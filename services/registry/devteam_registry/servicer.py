"""The Registry on the wire: translates and calls."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from devteam.mesh.access.caller import current_caller
from devteam.mesh.standing import OwnStanding
from devteam.mesh.standing_wire import standing_to_proto
from devteam.v1 import registry_pb2 as pb
from devteam.v1.registry_pb2_grpc import RegistryServiceServicer
from devteam_registry.convert import answers, owners, requests, routers, routing
from devteam_registry.health import HealthPolicy
from devteam_registry.routers import reachable_at
from devteam_registry.service import Registry


class RegistryServicer(RegistryServiceServicer):
    """RegistryService of the contract."""

    def __init__(
        self, registry: Registry, policy: HealthPolicy, router_addresses: Sequence[str], standing: OwnStanding
    ) -> None:
        self._registry = registry
        self._policy = policy
        self._router_addresses = tuple(router_addresses)
        self._standing = standing

    async def RegisterWorker(self, request: pb.RegisterWorkerRequest, context: object) -> pb.RegisterWorkerResponse:
        """Make a worker known."""
        spec, instance_id = requests.registration_from_proto(request)
        registration = await self._registry.register(spec, instance_id, owners.owner_of(current_caller(), spec))
        return answers.registration_to_proto(registration, self._policy, self._reachable_routers())

    async def Heartbeat(self, request: pb.HeartbeatRequest, context: object) -> pb.HeartbeatResponse:
        """Note that a worker is alive."""
        caller, beat = current_caller(), requests.beat_from_proto(request)
        caller.is_worker(beat.worker_id)
        orders = self._registry.beat(beat, caller.tenant)
        return answers.orders_to_proto(orders, self._reachable_routers())

    async def DeregisterWorker(
        self, request: pb.DeregisterWorkerRequest, context: object
    ) -> pb.DeregisterWorkerResponse:
        """Take a worker off the list."""
        caller, farewell = current_caller(), requests.farewell_from_proto(request)
        owners.takes_itself_off(caller, farewell)
        await self._registry.deregister(farewell, caller.tenant)
        return pb.DeregisterWorkerResponse()

    async def GetWorker(self, request: pb.GetWorkerRequest, context: object) -> pb.GetWorkerResponse:
        """One worker."""
        worker_id = requests.worker_id_from_proto(request)
        owners.looks_at(current_caller(), worker_id)
        view = self._registry.get(worker_id, current_caller().tenant)
        return pb.GetWorkerResponse(worker=answers.worker_to_proto(view))

    async def ListWorkers(self, request: pb.ListWorkersRequest, context: object) -> pb.ListWorkersResponse:
        """A page of workers."""
        return answers.page_to_proto(self._registry.page(requests.page_from_proto(request, current_caller().tenant)))

    async def WatchWorkers(
        self, request: pb.WatchWorkersRequest, context: object
    ) -> AsyncGenerator[pb.WatchWorkersResponse, None]:
        """Routing, Routers and everyone, then every change."""
        router_id, address = routers.watcher_from_proto(request)
        caller = current_caller()
        if router_id:
            owners.watches_as_router(caller)
        async with aclosing(self._registry.watch(router_id, address, caller.tenant)) as events:
            async for event in events:
                yield answers.event_to_proto(event, is_router=bool(router_id))

    async def ReportLinks(self, request: pb.ReportLinksRequest, context: object) -> pb.ReportLinksResponse:
        """Take in which workers have a stream to a Router."""
        self._registry.report_links(routers.link_report_from_proto(request))
        return pb.ReportLinksResponse()

    async def UpdateWorker(self, request: pb.UpdateWorkerRequest, context: object) -> pb.UpdateWorkerResponse:
        """Set what an operator wants."""
        view = await self._registry.update(*requests.wishes_from_proto(request), current_caller().tenant)
        return pb.UpdateWorkerResponse(worker=answers.worker_to_proto(view))

    async def GetRouting(self, request: pb.GetRoutingRequest, context: object) -> pb.GetRoutingResponse:
        """How runs are placed."""
        return pb.GetRoutingResponse(
            routing=routing.routing_to_proto(self._registry.routing_of(current_caller().tenant))
        )

    async def UpdateRouting(self, request: pb.UpdateRoutingRequest, context: object) -> pb.UpdateRoutingResponse:
        """Change how runs are placed."""
        owners.whole_mesh(current_caller())
        owners.every_queue(current_caller())
        changed = await self._registry.update_routing(routing.routing_change_from_proto(request))
        return pb.UpdateRoutingResponse(routing=routing.routing_to_proto(changed))

    async def UpdateQueue(self, request: pb.UpdateQueueRequest, context: object) -> pb.UpdateQueueResponse:
        """Change how one queue is served."""
        owners.whole_mesh(current_caller())
        change = routing.policy_change_from_proto(request)
        current_caller().uses_queue(change.wanted.name)
        policy = await self._registry.update_queue(change)
        return pb.UpdateQueueResponse(policy=routing.queue_policy_to_proto(policy))

    async def GetRegistryStatus(
        self, request: pb.GetRegistryStatusRequest, context: object
    ) -> pb.GetRegistryStatusResponse:
        """How the Registry stands."""
        return pb.GetRegistryStatusResponse(status=standing_to_proto(await self._standing.standing()))

    def _reachable_routers(self) -> tuple[str, ...]:
        return reachable_at(self._router_addresses, self._registry.routers)
