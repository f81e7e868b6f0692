"""The other Routers, over gRPC."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Self, TypeVar

import grpc
import structlog

from devteam.mesh import status
from devteam.mesh.channel import open_channel
from devteam.mesh.errors import DevTeamError, NotFound
from devteam.v1 import router_pb2, router_pb2_grpc
from devteam_router.convert.routing import throttle_to_proto
from devteam_router.peers import Peers

if TYPE_CHECKING:
    from devteam.v1.router_pb2_grpc import RouterServiceAsyncStub

_log = structlog.get_logger()

# A Router that does not answer by then is left out: its figures are worth less than an answer.
_CALL_TIMEOUT = 1.0

Answer = TypeVar("Answer")
Ask = Callable[["RouterServiceAsyncStub"], Awaitable[Answer]]


class PeerClient:
    """Asks the other Routers what they hold, and passes on what they have to know.

    An async context manager: leaving it closes the channels. `run` has to run beside it.
    """

    def __init__(self, peers: Peers) -> None:
        self._peers = peers
        self._channels = AsyncExitStack()
        self._stubs: dict[str, RouterServiceAsyncStub] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._channels.aclose()

    async def run(self) -> None:
        """Pass words on to the other Routers, for ever."""
        while True:
            request = throttle_to_proto(await self._peers.next())
            await self._ask_all(lambda stub, request=request: stub.ShareThrottle(request, timeout=_CALL_TIMEOUT))  # type: ignore[misc]  # bound now

    async def explain(self, task_id: str) -> router_pb2.ExplainResponse:
        """What the Router that holds a run of the task says of it. Raises NotFound when none does."""
        request = router_pb2.ExplainRequest(task_id=task_id, local=True)
        answers = await self._ask_all(lambda stub: stub.Explain(request, timeout=_CALL_TIMEOUT))
        if not answers:
            raise NotFound("task", task_id, message=f"the router holds no run of task {task_id}")
        return answers[0]

    async def added(
        self, queues: Sequence[router_pb2.Queue], throttles: Sequence[router_pb2.Throttle], *, name: str = ""
    ) -> tuple[list[router_pb2.Queue], list[router_pb2.Throttle]]:
        """What is here, with what the other Routers hold of it; one queue of that name, or all of them, by name."""
        request = router_pb2.ListQueuesRequest(page_size=1000, local=True)
        answers = await self._ask_all(lambda stub: stub.ListQueues(request, timeout=_CALL_TIMEOUT))
        everyone = [*queues, *(queue for answer in answers for queue in answer.queues)]
        total = queues_added(queue for queue in everyone if name in {"", queue.name})
        return total, throttles_added([*throttles, *(item for answer in answers for item in answer.throttles)])

    async def _ask_all(self, ask: Ask[Answer]) -> list[Answer]:
        stubs = [await self._stub(address) for address in self._peers.addresses]
        answers = await asyncio.gather(*(self._asked(ask, stub) for stub in stubs))
        return [answer for answer in answers if answer is not None]

    async def _asked(self, ask: Ask[Answer], stub: "RouterServiceAsyncStub") -> Answer | None:
        try:
            return await ask(stub)
        except grpc.aio.AioRpcError as error:
            self._missed(status.from_rpc(error))
            return None

    def _missed(self, error: DevTeamError) -> None:
        if not isinstance(error, NotFound):
            _log.info("another router did not answer", why=error.message)

    async def _stub(self, address: str) -> "RouterServiceAsyncStub":
        if address not in self._stubs:
            channel = await self._channels.enter_async_context(open_channel(address))
            self._stubs[address] = router_pb2_grpc.RouterServiceStub(channel)
        return self._stubs[address]


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
