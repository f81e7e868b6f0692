"""The Registry that a worker is examined by: it knows one worker, and wants of it what a scene wants."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from devteam.mesh.clock import Clock
from devteam.mesh.errors import Aborted, NotFound, PermissionDenied
from devteam.testing.conformance.news import News
from devteam.testing.refusals import refused, refused_stream
from devteam.v1 import registry_pb2 as pb
from devteam.v1 import registry_pb2_grpc

_Context = Any


@dataclass(frozen=True, slots=True)
class Heard:
    """A beat, and when it came on the monotonic clock."""

    moment: float
    beat: pb.HeartbeatRequest


@dataclass(slots=True)
class Wishes:
    """What the worker is told with every beat; times in seconds."""

    interval: float = 0.3
    # 0: what it declared.
    concurrency: int = 0
    drain_deadline: float | None = None


class ConformanceRegistry(registry_pb2_grpc.RegistryServiceServicer):
    """`session` is empty while there is no worker: it never came, has left, or was forgotten."""

    def __init__(self, news: News, clock: Clock) -> None:
        self.wishes = Wishes()
        self.router_addresses: list[str] = []
        self.registrations: list[pb.RegisterWorkerRequest] = []
        self.beats: list[Heard] = []
        self.farewells: list[pb.DeregisterWorkerRequest] = []
        # Instances that another one took over from.
        self.superseded: set[str] = set()
        self.session = ""
        self._news = news
        self._clock = clock

    def forget(self) -> None:
        """Know no worker."""
        self.session = ""

    async def RegisterWorker(self, request: pb.RegisterWorkerRequest, context: _Context) -> pb.RegisterWorkerResponse:
        """Make the worker known."""
        self.registrations.append(request)
        self.session = f"session-{len(self.registrations)}"
        self._news.tell()
        worker = pb.Worker(worker_id=request.spec.worker_id, instance_id=request.instance_id, spec=request.spec)
        policy = pb.HealthPolicy()
        for name, times in (("heartbeat_interval", 1), ("unhealthy_after", 60), ("lost_after", 120)):
            getattr(policy, name).FromTimedelta(timedelta(seconds=times * self.wishes.interval))
        policy.deregister_after.FromTimedelta(timedelta(seconds=300 * self.wishes.interval))
        return pb.RegisterWorkerResponse(
            worker=worker, session_token=self.session, policy=policy, router_addresses=self.router_addresses
        )

    async def Heartbeat(self, request: pb.HeartbeatRequest, context: _Context) -> pb.HeartbeatResponse:
        """Say what is wanted of the worker."""
        self.beats.append(Heard(self._clock.monotonic(), request))
        self._news.tell()
        self._recognise(request)
        draining = self.wishes.drain_deadline is not None
        response = pb.HeartbeatResponse(
            state=pb.WORKER_STATE_HEALTHY,
            availability=pb.AVAILABILITY_DRAINING if draining else pb.AVAILABILITY_OPEN,
            concurrency=self.wishes.concurrency or slots_of(self.registrations[-1].spec),
            router_addresses=self.router_addresses,
        )
        response.heartbeat_interval.FromTimedelta(timedelta(seconds=self.wishes.interval))
        if self.wishes.drain_deadline is not None:
            response.drain_deadline.FromTimedelta(timedelta(seconds=self.wishes.drain_deadline))
        return response

    async def DeregisterWorker(
        self, request: pb.DeregisterWorkerRequest, context: _Context
    ) -> pb.DeregisterWorkerResponse:
        """Let the worker go."""
        self._recognise(request)
        self.farewells.append(request)
        self.forget()
        self._news.tell()
        return pb.DeregisterWorkerResponse()

    GetWorker = ListWorkers = UpdateWorker = ReportLinks = refused
    GetRouting = UpdateRouting = UpdateQueue = GetRegistryStatus = refused
    WatchWorkers = refused_stream

    def _recognise(self, request: pb.HeartbeatRequest | pb.DeregisterWorkerRequest) -> None:
        if request.instance_id in self.superseded:
            raise Aborted("another instance registered under this id", reason="INSTANCE_SUPERSEDED")
        if not self.session:
            raise NotFound("worker", request.worker_id, reason="WORKER_NOT_REGISTERED")
        if request.session_token != self.session:
            raise PermissionDenied("the session token is not the one that was issued", reason="SESSION_INVALID")


def slots_of(spec: pb.WorkerSpec) -> int:
    """Attempts at a time over all queues."""
    return spec.concurrency or sum(queue.concurrency for queue in spec.queues)
