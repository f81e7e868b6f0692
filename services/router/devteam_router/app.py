"""The Router's composition root."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from random import Random

from devteam.keda import externalscaler_pb2, externalscaler_pb2_grpc
from devteam.mesh.access.following import followed
from devteam.mesh.access.mesh_key import mesh_key_of
from devteam.mesh.channel import open_channel
from devteam.mesh.clock import Clock
from devteam.mesh.ids import Ids
from devteam.mesh.metrics.readings import readable
from devteam.mesh.process import whole
from devteam.mesh.server import MeshServer
from devteam.mesh.service import run_service
from devteam.mesh.standing import OwnStanding, traces_go
from devteam.mesh.tasks import together
from devteam.mesh.usage import answer
from devteam.v1 import router_pb2, router_pb2_grpc, worker_pb2, worker_pb2_grpc
from devteam_router.footings import Footings
from devteam_router.meters import Meters
from devteam_router.peer_client import PeerClient
from devteam_router.registry_client import RegistryClient, follow, tell
from devteam_router.scaling.advice import Advice
from devteam_router.scaling.servicer import ScalerServicer
from devteam_router.service import RouterCore
from devteam_router.servicer import RouterServicer, WorkerServicer
from devteam_router.settings import Settings

_NAMES = (
    router_pb2.DESCRIPTOR.services_by_name["RouterService"].full_name,
    worker_pb2.DESCRIPTOR.services_by_name["WorkerService"].full_name,
    externalscaler_pb2.DESCRIPTOR.services_by_name["ExternalScaler"].full_name,
)


@asynccontextmanager
async def mounted(
    server: MeshServer, settings: Settings, clock: Clock, ids: Ids
) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Mount the Router on a server; yields its background job, to be run once the server is up."""
    router_id = ids.new("router")
    core = RouterCore(settings.policy, settings.graces, clock, Random(), router_id)  # noqa: S311 - breaks ties
    mesh_key = mesh_key_of(settings)
    async with (
        open_channel(settings.registry_address, api_key=mesh_key, tls=settings.outward_tls, eager=True) as channel,
        PeerClient(core.peers, mesh_key, settings.outward_tls) as peers,
    ):
        following = followed(server.keyring if settings.keys else None, channel, settings.registry_address, clock)
        footings = Footings(settings.registry_address, core.peers, peers.trouble_with, clock, [*following.footings])
        standing = OwnStanding("router", clock, footings.all, instance=router_id, traces=traces_go(settings.trace_file))
        servicer = RouterServicer(core, peers, clock, standing)
        router_pb2_grpc.add_RouterServiceServicer_to_server(servicer, server.server)
        worker_pb2_grpc.add_WorkerServiceServicer_to_server(WorkerServicer(core), server.server)
        scaler = ScalerServicer(Advice(core.demand, peers, clock))
        externalscaler_pb2_grpc.add_ExternalScalerServicer_to_server(scaler, server.server)
        server.serve(_NAMES, core.drain)
        registry = RegistryClient(channel, router_id, settings.advertised_address)

        async def job() -> None:
            hear = partial(follow, registry, core.hear, clock, footings.registry.found)
            await together(hear, partial(tell, registry, core.attendance, clock), peers.run, following.run)

        with readable(Meters(core, clock).read):
            yield job


def run() -> None:
    """Be the Router's process."""
    answer("router", "Decides which worker of a mesh does what, and passes on what it says.", Settings)
    whole(partial(run_service, "router", Settings, mounted))
