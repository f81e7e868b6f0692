"""RouterService and WorkerService: translate and call."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc
from opentelemetry import trace

from devteam.mesh import names, paging
from devteam.mesh.clock import Clock
from devteam.mesh.errors import DeadlineExceeded, DevTeamError, FailedPrecondition, InvalidInput, Violation
from devteam.mesh.tasks import cancelled
from devteam.v1 import router_pb2, router_pb2_grpc, worker_pb2, worker_pb2_grpc
from devteam_router.convert import events, runs, workers
from devteam_router.dispatch import ToldToStop
from devteam_router.domain import AttemptId
from devteam_router.link import Link
from devteam_router.service import RouterCore

Context = grpc.aio.ServicerContext[Any, Any]


class RouterServicer(router_pb2_grpc.RouterServiceServicer):
    """What Planners and operators call."""

    def __init__(self, core: RouterCore, clock: Clock) -> None:
        self._core = core
        self._clock = clock

    async def Dispatch(
        self, request: router_pb2.DispatchRequest, context: Context
    ) -> AsyncGenerator[router_pb2.DispatchResponse, None]:
        """Carry out one attempt."""
        run = runs.run_from_proto(request.run, self._core.preferences, self._clock.now())
        assigned = runs.instance_from_proto(request.assigned) if request.HasField("assigned") else None
        last_seq = runs.last_seq_from_proto(request.last_seq)
        heard = self._core.planners.dispatch(run, last_seq=last_seq, assigned=assigned)
        async with aclosing(heard):
            async for event in heard:
                if isinstance(event, ToldToStop):
                    told = {names.WORKER_ID: event.worker.worker_id}
                    trace.get_current_span().add_event("worker told to cancel", told)
                yield events.event_to_proto(event, run.id)

    async def AckDispatches(
        self, request: router_pb2.AckDispatchesRequest, context: Context
    ) -> router_pb2.AckDispatchesResponse:
        """Let workers forget what is stored."""
        for ack in request.acks:
            self._core.planners.acknowledge(AttemptId(ack.task_id, ack.attempt), ack.seq, report=ack.report)
        return router_pb2.AckDispatchesResponse()

    async def CancelDispatch(
        self, request: router_pb2.CancelDispatchRequest, context: Context
    ) -> router_pb2.CancelDispatchResponse:
        """Stop an attempt."""
        self._core.planners.cancel(AttemptId(request.task_id, request.attempt))
        return router_pb2.CancelDispatchResponse()

    async def Explain(self, request: router_pb2.ExplainRequest, context: Context) -> router_pb2.ExplainResponse:
        """Why a task waits, or runs where it does."""
        match request.WhichOneof("subject"):
            case "task_id":
                explanation = self._core.explainer.task(request.task_id)
            case "dry_run":
                signature = runs.dry_run_from_proto(request.dry_run, self._core.preferences)
                explanation = self._core.explainer.dry_run(signature)
            case _:
                raise InvalidInput(Violation("subject", "FIELD_REQUIRED", "name a task_id or a dry_run"))
        return events.explanation_to_proto(explanation)

    async def ListQueues(
        self, request: router_pb2.ListQueuesRequest, context: Context
    ) -> router_pb2.ListQueuesResponse:
        """All queues, by name."""
        size = paging.page_size(request.page_size, default=100, limit=1000)
        start = paging.page_start(request.page_token)
        names = [name for name in self._core.queues.names() if name > start]
        more = paging.page_token(names[size - 1]) if len(names) > size else ""
        return router_pb2.ListQueuesResponse(queues=[self._queue(name) for name in names[:size]], next_page_token=more)

    async def GetQueue(self, request: router_pb2.GetQueueRequest, context: Context) -> router_pb2.GetQueueResponse:
        """One queue."""
        return router_pb2.GetQueueResponse(queue=self._queue(request.name))

    def _queue(self, name: str) -> router_pb2.Queue:
        return events.queue_to_proto(self._core.queues.view(name, self._clock.monotonic()), self._clock.now())


class WorkerServicer(worker_pb2_grpc.WorkerServiceServicer):
    """What workers call."""

    def __init__(self, core: RouterCore) -> None:
        self._workers = core.workers
        self._attach_within = core.graces.attach

    async def Connect(
        self, request: AsyncIterator[worker_pb2.ConnectRequest], context: Context
    ) -> AsyncGenerator[worker_pb2.ConnectResponse, None]:
        """Be one worker's line: one task reads, this one writes."""
        worker, token, in_hand = workers.attach_from_proto(await _first(request, self._attach_within))
        await self._workers.admit(worker, token)
        link = self._workers.attach(worker, in_hand)
        reader = asyncio.create_task(self._read(request, link), name=f"read {worker.worker_id}")
        try:
            async for frame in link.frames():
                yield workers.frame_to_proto(frame)
        finally:
            self._workers.detach(link)
            await cancelled(reader)

    async def _read(self, requests: AsyncIterator[worker_pb2.ConnectRequest], link: Link) -> None:
        try:
            async for request in requests:
                self._hear(request, link)
        except DevTeamError as error:
            link.close(error)
        finally:
            link.close()

    def _hear(self, request: worker_pb2.ConnectRequest, link: Link) -> None:
        match request.WhichOneof("item"):
            case "tokens":
                self._workers.tokens(link, _attempt(request.tokens), workers.tokens_from_proto(request.tokens))
            case "beat":
                self._workers.beat(link, request.beat.number)
            case "accepted":
                self._workers.accepted(link, _attempt(request.accepted))
            case "rejected":
                self._workers.rejected(link, _attempt(request.rejected), request.rejected.message)
            case "report":
                self._workers.report(link, _attempt(request.report), workers.report_from_proto(request.report))
            case "attach":
                raise FailedPrecondition("attach comes once, as the first message", reason="PROTOCOL_ORDER")


def _attempt(message: Any) -> AttemptId:
    return AttemptId(message.task_id, message.attempt)


async def _first(requests: AsyncIterator[worker_pb2.ConnectRequest], attach_within: float) -> worker_pb2.ConnectRequest:
    # A cancelled read would leak and lose the stream, but here the stream ends with it.
    try:
        async with asyncio.timeout(attach_within):
            return await anext(requests)
    except TimeoutError:
        raise DeadlineExceeded(f"no attach within {attach_within:g} s", reason="ATTACH_TIMEOUT") from None
    except StopAsyncIteration:
        raise FailedPrecondition("the stream ended before attach", reason="PROTOCOL_ORDER") from None
