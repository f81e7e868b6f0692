"""RouterService and WorkerService: translate and call."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc

from devteam.mesh import paging
from devteam.mesh.access.caller import current_caller
from devteam.mesh.clock import Clock
from devteam.mesh.errors import DeadlineExceeded, DevTeamError, FailedPrecondition, InvalidInput, NotFound, Violation
from devteam.mesh.standing import OwnStanding
from devteam.mesh.standing_wire import standing_to_proto
from devteam.mesh.tasks import cancelled
from devteam.mesh.trace_context import carried
from devteam.v1 import router_pb2, router_pb2_grpc, worker_pb2, worker_pb2_grpc
from devteam_router.convert import events, routing, runs, tenants, workers
from devteam_router.dispatch_span import followed
from devteam_router.domain import AttemptId
from devteam_router.frames import RejectReason
from devteam_router.gates import Throttle
from devteam_router.link import Link
from devteam_router.peer_client import PeerClient
from devteam_router.service import RouterCore

Context = grpc.aio.ServicerContext[Any, Any]


class RouterServicer(router_pb2_grpc.RouterServiceServicer):
    """What Planners and operators call."""

    def __init__(self, core: RouterCore, peers: PeerClient, clock: Clock, standing: OwnStanding) -> None:
        self._core = core
        self._peers = peers
        self._clock = clock
        self._standing = standing

    async def Dispatch(
        self, request: router_pb2.DispatchRequest, context: Context
    ) -> AsyncGenerator[router_pb2.DispatchResponse, None]:
        """Carry out one attempt."""
        request.run.trace_context.update(carried())
        run = runs.run_from_proto(request.run, self._core.preferences, self._clock.now())
        assigned = runs.instance_from_proto(request.assigned) if request.HasField("assigned") else None
        last_seq = runs.last_seq_from_proto(request.last_seq)
        held = self._core.attempts.get(run.id)
        heard = self._core.planners.dispatch(run, last_seq=last_seq, assigned=assigned)
        with followed(run, held, assigned) as seen:
            async with aclosing(heard):
                async for event in heard:
                    seen.hear(event)
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

    async def ShareThrottle(
        self, request: router_pb2.ShareThrottleRequest, context: Context
    ) -> router_pb2.ShareThrottleResponse:
        """Another Router heard that a provider wants patience."""
        word = routing.throttle_from_proto(request)
        self._core.matcher.throttle(word.model, word.seconds, word.reason)
        return router_pb2.ShareThrottleResponse()

    async def Explain(self, request: router_pb2.ExplainRequest, context: Context) -> router_pb2.ExplainResponse:
        """Why a task waits, or runs where it does."""
        whose = tenants.asked_for(context.invocation_metadata(), current_caller(), local=request.local)
        match request.WhichOneof("subject"):
            case "task_id":
                if not request.local and not self._core.explainer.holds(request.task_id):
                    elsewhere = await self._peers.explain(request.task_id, whose)
                    if elsewhere is not None:
                        return elsewhere
                explanation = self._core.explainer.task(request.task_id, whose)
            case "dry_run":
                signature = runs.dry_run_from_proto(request.dry_run, self._core.preferences)
                tenant = tenants.of_dry_run(request.dry_run, current_caller())
                explanation = self._core.explainer.dry_run(signature, self._clock.monotonic(), tenant)
            case _:
                raise InvalidInput(Violation("subject", "FIELD_REQUIRED", "name a task_id or a dry_run"))
        return events.explanation_to_proto(explanation.seen_by(whose))

    async def ListQueues(
        self, request: router_pb2.ListQueuesRequest, context: Context
    ) -> router_pb2.ListQueuesResponse:
        """All queues, by name, and the models that have to wait."""
        size = paging.page_size(request.page_size, default=100, limit=1000)
        start = paging.page_start(request.page_token)
        whose = tenants.asked_for(context.invocation_metadata(), current_caller(), local=request.local)
        queues, throttles = self._queues(whose), self._throttles(whose)
        if not request.local:
            queues, throttles = await self._peers.added(queues, throttles, whose)
        later = [queue for queue in queues if queue.name > start]
        more = paging.page_token(later[size - 1].name) if len(later) > size else ""
        first_page = throttles if not start else []
        return router_pb2.ListQueuesResponse(queues=later[:size], next_page_token=more, throttles=first_page)

    async def GetQueue(self, request: router_pb2.GetQueueRequest, context: Context) -> router_pb2.GetQueueResponse:
        """One queue."""
        whose = tenants.asked_for(context.invocation_metadata(), current_caller(), local=request.local)
        known = [queue for queue in self._queues(whose) if queue.name == request.name]
        if not request.local:
            known = await self._peers.queue(known, request.name, whose)
        if not known:
            message = f"no worker serves a queue named {request.name!r} and nothing waits in it"
            raise NotFound("queue", request.name, message=message)
        return router_pb2.GetQueueResponse(queue=known[0])

    async def GetRouterStatus(
        self, request: router_pb2.GetRouterStatusRequest, context: Context
    ) -> router_pb2.GetRouterStatusResponse:
        """How the Router stands."""
        return router_pb2.GetRouterStatusResponse(status=standing_to_proto(await self._standing.standing()))

    def _queues(self, whose: str) -> list[router_pb2.Queue]:
        now = self._clock.now()
        return [events.queue_to_proto(view, now) for view in self._core.queues.views(self._clock.monotonic(), whose)]

    def _throttles(self, whose: str) -> list[router_pb2.Throttle]:
        """Those that hold; for one tenant, of models that it waits for."""
        waits_for = {line.signature.model for line in self._core.lines if line.tenant == whose}
        return [
            self._throttle(throttle)
            for throttle in self._core.gates.throttles()
            if not whose or throttle.model in waits_for
        ]

    def _throttle(self, throttle: Throttle) -> router_pb2.Throttle:
        waiting = sum(len(line) for line in self._core.lines.of_model(throttle.model))
        return events.throttle_to_proto(throttle, waiting, self._clock.now(), self._clock.monotonic())


class WorkerServicer(worker_pb2_grpc.WorkerServiceServicer):
    """What workers call."""

    def __init__(self, core: RouterCore) -> None:
        self._workers = core.workers
        self._attach_within = core.graces.attach

    async def Connect(
        self, request: AsyncIterator[worker_pb2.ConnectRequest], context: Context
    ) -> AsyncGenerator[worker_pb2.ConnectResponse, None]:
        """Be one worker's line: one task reads, this one writes."""
        first = await _first(request, self._attach_within)
        worker, token, in_hand = workers.attach_from_proto(first)
        caller = current_caller()
        caller.is_worker(worker.worker_id)
        await self._workers.admit(worker, token, caller.tenant)
        link = self._workers.attach(worker, in_hand, workers.occupied_from_proto(first.attach.occupied))
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
                reason = workers.REJECT_REASONS.get(request.rejected.reason, RejectReason.NOT_SERVED)
                self._workers.rejected(link, _attempt(request.rejected), request.rejected.message, reason)
            case "report":
                self._workers.report(link, _attempt(request.report), workers.report_from_proto(request.report))
            case "occupied":
                self._workers.occupied(link, workers.occupied_from_proto(request.occupied))
            case "offer":
                self._workers.offered(link, workers.offer_from_proto(request.offer))
            case "released":
                self._workers.released(link, _attempt(request.released))
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
