"""The other Routers, over gRPC."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeVar

import grpc
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc

from devteam.keda import externalscaler_pb2_grpc
from devteam.mesh import status
from devteam.mesh.channel import open_channel
from devteam.mesh.errors import DevTeamError, FailedPrecondition, NotFound
from devteam.mesh.tls import TlsFiles
from devteam.v1 import router_pb2, router_pb2_grpc
from devteam_router.convert.routing import throttle_to_proto
from devteam_router.convert.scaling import local_demand_from_proto, local_demand_request
from devteam_router.convert.tenants import passed_on
from devteam_router.peers import Peers

if TYPE_CHECKING:
    from devteam.keda.externalscaler_pb2_grpc import ExternalScalerAsyncStub
    from devteam.v1.router_pb2_grpc import RouterServiceAsyncStub

_log = structlog.get_logger()

# A Router that does not answer by then is left out: its figures are worth less than an answer.
_CALL_TIMEOUT = 1.0
_NAME = router_pb2.DESCRIPTOR.services_by_name["RouterService"].full_name
_AWAY = (
    "it does not answer, so that its share of figures and explanations is missing: see whether it runs, and whether "
    "this Router reaches the address that it advertises (DEVTEAM_ROUTER_ADVERTISED_ADDRESS)"
)
_LEAVING = "it takes no new work, because it goes down: start another one in its place"

Answer = TypeVar("Answer")
Ask = Callable[["_Peer"], Awaitable[Answer]]


@dataclass(slots=True)
class _Peer:
    channel: grpc.aio.Channel
    router: "RouterServiceAsyncStub"
    scaler: "ExternalScalerAsyncStub"
    # How many ask it something just now.
    askers: int = 0


class PeerClient:
    """Asks the other Routers what they hold, and passes on what they have to know.

    An async context manager: leaving it closes the channels. `run` has to run beside it. `mesh_key` is shown to them.
    """

    def __init__(self, peers: Peers, mesh_key: str = "", tls: TlsFiles | None = None) -> None:
        self._peers = peers
        self._mesh_key = mesh_key
        self._tls = tls
        self._known: dict[str, _Peer] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._close(list(self._known))

    async def run(self) -> None:
        """Pass words on to the other Routers, for ever."""
        while True:
            request = throttle_to_proto(await self._peers.next())
            await self._ask_all(lambda peer, request=request: peer.router.ShareThrottle(request, timeout=_CALL_TIMEOUT))  # type: ignore[misc]  # bound now

    async def explain(self, task_id: str, whose: str = "") -> router_pb2.ExplainResponse | None:
        """What a Router that holds a run of the task says of it, to one tenant or everyone; None when none does."""
        request, told_to = router_pb2.ExplainRequest(task_id=task_id, local=True), passed_on(whose)
        answers = await self._ask_all(
            lambda peer: peer.router.Explain(request, timeout=_CALL_TIMEOUT, metadata=told_to)
        )
        return answers[0] if answers else None

    async def queue(self, known: Sequence[router_pb2.Queue], name: str, whose: str = "") -> list[router_pb2.Queue]:
        """What is here of a queue, with what the other Routers hold of it; empty when nobody knows it."""
        request, told_to = router_pb2.GetQueueRequest(name=name, local=True), passed_on(whose)
        answers = await self._ask_all(
            lambda peer: peer.router.GetQueue(request, timeout=_CALL_TIMEOUT, metadata=told_to)
        )
        return queues_added([*known, *(answer.queue for answer in answers)])

    async def added(
        self, queues: Sequence[router_pb2.Queue], throttles: Sequence[router_pb2.Throttle], whose: str = ""
    ) -> tuple[list[router_pb2.Queue], list[router_pb2.Throttle]]:
        """What is here, with what the other Routers hold of it, by name."""
        answers = [answer for pages in await self._ask_all(lambda peer: _all_queues(peer, whose)) for answer in pages]
        total = queues_added([*queues, *(queue for answer in answers for queue in answer.queues)])
        return total, throttles_added([*throttles, *(item for answer in answers for item in answer.throttles)])

    @property
    def alone(self) -> bool:
        """As Elsewhere.alone."""
        return not self._peers.addresses

    async def trouble_with(self, address: str) -> str:
        """What is wrong with the Router there, in words; empty when it serves."""
        request = health_pb2.HealthCheckRequest(service=_NAME)
        try:
            with self._asking(address) as peer:
                answer = await health_pb2_grpc.HealthStub(peer.channel).Check(request, timeout=_CALL_TIMEOUT)
        except (grpc.aio.AioRpcError, FailedPrecondition):
            return _AWAY
        return "" if answer.status == health_pb2.HealthCheckResponse.SERVING else _LEAVING

    async def demands(self, queue: str) -> list[int | None]:
        """As Elsewhere.demands."""
        request = local_demand_request(queue)
        answers = await self._ask_each(lambda peer: peer.scaler.GetMetrics(request, timeout=_CALL_TIMEOUT))
        return [None if answer is None else local_demand_from_proto(answer) for answer in answers]

    async def _ask_all(self, ask: Ask[Answer]) -> list[Answer]:
        return [answer for answer in await self._ask_each(ask) if answer is not None]

    async def _ask_each(self, ask: Ask[Answer]) -> list[Answer | None]:
        """One answer a Router; None of those that have none."""
        answers = await asyncio.gather(*(self._asked(ask, address) for address in self._peers.addresses))
        await self._close(self._gone())
        return answers

    async def _asked(self, ask: Ask[Answer], address: str) -> Answer | None:
        try:
            with self._asking(address) as peer:
                return await ask(peer)
        except grpc.aio.AioRpcError as error:
            self._missed(status.from_rpc(error))
        except FailedPrecondition as error:
            # Its certificates are just being renewed.
            self._missed(error)
        return None

    def _missed(self, error: DevTeamError) -> None:
        if not isinstance(error, NotFound):
            _log.info("another router did not answer", why=error.message)

    @contextmanager
    def _asking(self, address: str) -> Iterator[_Peer]:
        """Whom to ask there. Raises FailedPrecondition when this Router's certificates cannot be used now."""
        peer = self._peer(address)
        peer.askers += 1
        try:
            yield peer
        finally:
            peer.askers -= 1

    def _peer(self, address: str) -> _Peer:
        if address not in self._known:
            channel = open_channel(address, api_key=self._mesh_key, tls=self._tls)
            stubs = router_pb2_grpc.RouterServiceStub(channel), externalscaler_pb2_grpc.ExternalScalerStub(channel)
            self._known[address] = _Peer(channel, *stubs)
        return self._known[address]

    def _gone(self) -> list[str]:
        # A channel that is closed cancels whoever still asks on it, as if the asker itself had been cancelled.
        here = self._peers.addresses
        return [address for address, peer in self._known.items() if address not in here and not peer.askers]

    async def _close(self, addresses: Sequence[str]) -> None:
        for peer in [self._known.pop(address) for address in addresses]:
            await peer.channel.close()


async def _all_queues(peer: _Peer, whose: str) -> list[router_pb2.ListQueuesResponse]:
    """Every page that a Router has of its own."""
    told_to = passed_on(whose)
    pages = [router_pb2.ListQueuesResponse()]
    while len(pages) == 1 or pages[-1].next_page_token:
        token = pages[-1].next_page_token
        request = router_pb2.ListQueuesRequest(page_size=1000, page_token=token, local=True)
        pages.append(await peer.router.ListQueues(request, timeout=_CALL_TIMEOUT, metadata=told_to))
    return pages


def queues_added(queues: Iterable[router_pb2.Queue]) -> list[router_pb2.Queue]:
    """Figures of the same queue added up, by name. Every Router knows all workers and slots: those are not."""
    total: dict[str, router_pb2.Queue] = {}
    for queue in queues:
        known = total.get(queue.name)
        if known is None:
            total[queue.name] = known = router_pb2.Queue()
            known.CopyFrom(queue)
            continue
        known.waiting += queue.waiting
        known.running += queue.running
        known.slots, known.workers = max(known.slots, queue.slots), max(known.workers, queue.workers)
        if queue.HasField("oldest_waiting_since") and _older(queue, known):
            known.oldest_waiting_since.CopyFrom(queue.oldest_waiting_since)
    return [total[name] for name in sorted(total)]


def throttles_added(throttles: Iterable[router_pb2.Throttle]) -> list[router_pb2.Throttle]:
    """One for each model: the longest, with all that waits for it."""
    total: dict[str, router_pb2.Throttle] = {}
    for throttle in throttles:
        known = total.setdefault(throttle.model, router_pb2.Throttle(model=throttle.model))
        waiting = known.waiting + throttle.waiting
        if throttle.until.ToNanoseconds() >= known.until.ToNanoseconds():
            known.CopyFrom(throttle)
        known.waiting = waiting
    return [total[model] for model in sorted(total)]


def _older(one: router_pb2.Queue, other: router_pb2.Queue) -> bool:
    if not other.HasField("oldest_waiting_since"):
        return True
    return one.oldest_waiting_since.ToNanoseconds() < other.oldest_waiting_since.ToNanoseconds()
