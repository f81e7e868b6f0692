"""The line to one Router."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from dataclasses import replace

import grpc
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc

from devteam.mesh.clock import Clock
from devteam.mesh.errors import DeadlineExceeded, DevTeamError, Internal, Unavailable
from devteam.mesh.status import from_rpc
from devteam.mesh.tasks import Backoff
from devteam.mesh.trace_context import carried
from devteam.v1 import router_pb2, router_pb2_grpc
from devteam_planner.acks import Ack, Acks
from devteam_planner.convert.runs import acks_to_proto, batch_from_proto, dispatch_to_proto, event_from_proto
from devteam_planner.domain import Run, WorkerInstance
from devteam_planner.ports import RunEvent, RunLost, RunReport, RunTokens

_log = structlog.get_logger()

_CALL_TIMEOUT = 5.0
_ACKS_A_CALL = 1_000
_AWAY = (
    "it does not serve, so that tasks wait, or go to other Routers: see whether it runs there, or take it out of "
    "DEVTEAM_PLANNER_ROUTER_ADDRESS"
)
_NAME = router_pb2.DESCRIPTOR.services_by_name["RouterService"].full_name


class RouterLine:
    """Dispatches, acknowledges and cancels on the Router behind `channel`.

    `send_acks` and `revive` must be running for as long as the line is used. `share` takes the acknowledgements that
    this Router cannot be told now.
    """

    def __init__(
        self, address: str, channel: grpc.aio.Channel, clock: Clock, share: Callable[[Sequence[Ack]], None]
    ) -> None:
        self._address = address
        self._stub = router_pb2_grpc.RouterServiceStub(channel)
        self._health = health_pb2_grpc.HealthStub(channel)
        self._clock = clock
        self._share = share
        self._acks = Acks()
        self._up = asyncio.Event()
        self._up.set()
        self._down = asyncio.Event()
        self._revival = Backoff(clock)

    @property
    def up(self) -> bool:
        """Whether the Router can be used: it is not known to be gone, or going."""
        return self._up.is_set()

    async def dispatch(
        self, run: Run, *, last_seq: int, assigned: WorkerInstance | None
    ) -> AsyncGenerator[RunEvent, None]:
        """Carry out one attempt; see the port. Closing the generator ends the call and cancels nothing."""
        traced = replace(run, trace_context=carried() or run.trace_context)
        request = dispatch_to_proto(traced, last_seq=last_seq, assigned=assigned, now=self._clock.now())
        call = self._stub.Dispatch(request)
        heard, stored = False, last_seq
        try:
            async for message in call:
                if not heard:
                    heard = True
                    self._answered()
                event = _after(stored, message)
                if event is None:
                    continue
                if isinstance(event, RunTokens):
                    stored = event.batch.last_seq
                yield event
                if isinstance(event, RunReport | RunLost):
                    return
        except grpc.RpcError as error:
            raise self._failed(error) from error
        finally:
            call.cancel()
        raise Unavailable("the Router ended the dispatch without a report", reason="DISPATCH_ENDED")

    def acknowledge(self, acks: Iterable[Ack]) -> None:
        """Note what is stored; `send_acks` tells the Router. Never waits, never raises."""
        self._acks.note(acks)

    async def cancel(self, task_id: str, attempt: int) -> None:
        """Stop an attempt, if the Router has it. Raises Unavailable."""
        request = router_pb2.CancelDispatchRequest(task_id=task_id, attempt=attempt)
        try:
            await self._stub.CancelDispatch(request, timeout=_CALL_TIMEOUT)
        except grpc.RpcError as error:
            raise self._failed(error) from error

    async def send_acks(self) -> None:
        """Tell what is stored, until cancelled: whatever gathers while one call is under way goes with the next."""
        backoff = Backoff(self._clock)
        while True:
            await self._acks.some()
            if not self.up:
                # Workers that this Router has left alone may be with another one by now.
                self._share(self._acks.all())
                await self._up.wait()
            if await self._sent(self._acks.take(_ACKS_A_CALL)):
                backoff.reset()
            else:
                await backoff.pause()

    async def revive(self) -> None:
        """Ask a Router that was lost whether it serves again, until cancelled: no dispatch has to find it out."""
        while True:
            await self._down.wait()
            await self._revival.pause()
            if not self.up and await self._serves():
                self._rise()

    async def trouble(self) -> str:
        """What is wrong with this Router, in words; empty when it can be used."""
        return "" if await self._serves() and self.up else _AWAY

    async def _sent(self, batch: list[Ack]) -> bool:
        try:
            await self._stub.AckDispatches(acks_to_proto(batch), timeout=_CALL_TIMEOUT)
        except grpc.RpcError as rpc_error:
            error = self._failed(rpc_error)
            if isinstance(error, Unavailable):
                self._acks.note(batch)
            else:
                _log.error("acknowledgements refused", reason=error.reason, message=error.message, count=len(batch))
            return False
        return True

    async def _serves(self) -> bool:
        """Wait for a connection, and ask: a Router that drains has one, too."""
        request = health_pb2.HealthCheckRequest(service=_NAME)
        try:
            answer = await self._health.Check(request, timeout=_CALL_TIMEOUT, wait_for_ready=True)
        except grpc.RpcError as error:
            # A proxy may let calls of the Router through, and no others.
            return isinstance(error, grpc.aio.AioRpcError) and error.code() is grpc.StatusCode.UNIMPLEMENTED
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    def _failed(self, error: grpc.RpcError) -> DevTeamError:
        """What a failed call means, and what follows from it for the line."""
        told = _broken(error)
        if isinstance(told, Unavailable) and self.up:
            _log.warning("router is down", address=self._address, error=told.message)
            self._up.clear()
            self._down.set()
        return told

    def _answered(self) -> None:
        # Only a dispatch resets it: a Router that says it serves and breaks them all is tried ever more rarely.
        self._revival.reset()
        self._rise()

    def _rise(self) -> None:
        if not self.up:
            _log.info("router is up again", address=self._address)
            self._down.clear()
            self._up.set()


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
