"""The Router, over gRPC."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator
from dataclasses import replace

import grpc
import structlog

from devteam.mesh.clock import Clock
from devteam.mesh.errors import DeadlineExceeded, DevTeamError, Internal, Unavailable
from devteam.mesh.status import from_rpc
from devteam.mesh.tasks import Backoff
from devteam.mesh.trace_context import carried
from devteam.v1 import router_pb2, router_pb2_grpc
from devteam_planner.convert.runs import batch_from_proto, dispatch_to_proto, event_from_proto
from devteam_planner.domain import Run, WorkerInstance
from devteam_planner.ports import RunEvent, RunLost, RunReport, RunTokens

_log = structlog.get_logger()

_CALL_TIMEOUT = 5.0
_CANCEL_PATIENCE = 5.0
_ACKS_A_CALL = 1_000
# Acknowledgements that wait while the Router is away; beyond them the oldest are dropped.
_WAITING_ACKS = 100_000


class RouterClient:
    """Dispatches, acknowledges and cancels on the Router behind `channel`.

    `run` sends acknowledgements and must be running for as long as the client is used.
    """

    def __init__(self, channel: grpc.aio.Channel, clock: Clock) -> None:
        self._stub = router_pb2_grpc.RouterServiceStub(channel)
        self._clock = clock
        self._acks: OrderedDict[tuple[str, int], router_pb2.DispatchAck] = OrderedDict()
        self._some = asyncio.Event()

    async def dispatch(
        self, run: Run, *, last_seq: int, assigned: WorkerInstance | None
    ) -> AsyncGenerator[RunEvent, None]:
        """Carry out one attempt; see the port. Closing the generator ends the call and cancels nothing."""
        traced = replace(run, trace_context=carried() or run.trace_context)
        call = self._stub.Dispatch(dispatch_to_proto(traced, last_seq=last_seq, assigned=assigned))
        stored = last_seq
        try:
            async for message in call:
                event = _after(stored, message)
                if event is None:
                    continue
                if isinstance(event, RunTokens):
                    stored = event.batch.last_seq
                yield event
                if isinstance(event, RunReport | RunLost):
                    return
        except grpc.RpcError as error:
            raise _broken(error) from error
        finally:
            call.cancel()
        raise Unavailable("the Router ended the dispatch without a report", reason="DISPATCH_ENDED")

    def acknowledge(self, task_id: str, attempt: int, seq: int, *, report: bool = False) -> None:
        """Note what is stored; `run` tells the Router. Never waits, never raises."""
        self._note(router_pb2.DispatchAck(task_id=task_id, attempt=attempt, seq=seq, report=report))
        self._some.set()

    async def run(self) -> None:
        """Send acknowledgements until cancelled: whatever gathers while one call is under way goes with the next."""
        backoff = Backoff(self._clock)
        while True:
            await self._some.wait()
            batch = [self._acks.popitem(last=False)[1] for _ in range(min(len(self._acks), _ACKS_A_CALL))]
            if not self._acks:
                self._some.clear()
            if await self._sent(batch):
                backoff.reset()
            else:
                await backoff.pause()

    async def cancel(self, task_id: str, attempt: int) -> None:
        """Stop an attempt, trying for a few seconds. Raises Unavailable."""
        request = router_pb2.CancelDispatchRequest(task_id=task_id, attempt=attempt)
        backoff = Backoff(self._clock)
        give_up_at = self._clock.monotonic() + _CANCEL_PATIENCE
        while True:
            try:
                await self._stub.CancelDispatch(request, timeout=_CALL_TIMEOUT)
            except grpc.RpcError as rpc_error:
                error = _broken(rpc_error)
                if not isinstance(error, Unavailable) or self._clock.monotonic() >= give_up_at:
                    raise error from rpc_error
                await backoff.pause()
            else:
                return

    def _note(self, ack: router_pb2.DispatchAck) -> None:
        known = self._acks.setdefault((ack.task_id, ack.attempt), ack)
        known.seq = max(known.seq, ack.seq)
        known.report = known.report or ack.report
        if len(self._acks) > _WAITING_ACKS:
            self._acks.popitem(last=False)

    async def _sent(self, batch: list[router_pb2.DispatchAck]) -> bool:
        try:
            await self._stub.AckDispatches(router_pb2.AckDispatchesRequest(acks=batch), timeout=_CALL_TIMEOUT)
        except grpc.RpcError as rpc_error:
            error = _broken(rpc_error)
            if not isinstance(error, Unavailable):
                _log.error("acknowledgements refused", reason=error.reason, message=error.message, count=len(batch))
                return False
            for ack in batch:
                self._note(ack)
            self._some.set()
            return False
        return True


def _after(stored: int, message: router_pb2.DispatchResponse) -> RunEvent | None:
    """The event that `message` is for someone who has the tokens up to `stored`; None if there is nothing new."""
    if not message.HasField("tokens"):
        return event_from_proto(message)
    tokens = message.tokens
    if tokens.first_seq > stored + 1:
        raise Unavailable(
            f"tokens {stored + 1} to {tokens.first_seq - 1} of {tokens.task_id} are missing", reason="TOKENS_MISSING"
        )
    if tokens.first_seq + len(tokens.tokens) - 1 <= stored:
        return None
    return RunTokens(batch_from_proto(tokens, after=stored))


def _broken(error: grpc.RpcError) -> DevTeamError:
    """What a failed call means here: whatever the Router did not say itself is a broken line."""
    told = from_rpc(error)
    anonymous = isinstance(told, Internal) and not told.metadata
    if anonymous or isinstance(told, DeadlineExceeded):
        return Unavailable(f"the line to the Router broke: {told.message}", reason=told.reason)
    return told
