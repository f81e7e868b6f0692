"""The worker's end of its stream to a Router: dials out, attaches with what it has in hand, and dials again."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress

import grpc
import structlog

from devteam.mesh import status
from devteam.mesh.channel import credentials
from devteam.mesh.clock import Clock, Timer
from devteam.mesh.errors import DevTeamError, NotFound, PermissionDenied, Unavailable
from devteam.mesh.tasks import Backoff
from devteam.v1 import worker_pb2, worker_pb2_grpc
from devteam_worker import convert
from devteam_worker.desk import Desk
from devteam_worker.domain import AttemptId, Declaration
from devteam_worker.registration import Registration
from devteam_worker.runs import Runs

_log = structlog.get_logger()

Call = grpc.aio.StreamStreamCall[worker_pb2.ConnectRequest, worker_pb2.ConnectResponse]

# Cut off for so long, the worker stops its runs: by then somebody else is about to run them.
SELF_STOP = 90.0
# A Router answers `attach` sooner than this, also where it has to wait for the Registry's word first.
ATTACH_TIMEOUT = 15.0


class Link:
    """One task reads, one writes, one beats. A broken stream stops nothing that runs."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        declaration: Declaration,
        registration: Registration,
        desk: Desk,
        runs: Runs,
        on_drain: Callable[[float | None], None],
        clock: Clock,
        *,
        api_key: str = "",
        self_stop: float = SELF_STOP,
        attach_timeout: float = ATTACH_TIMEOUT,
    ) -> None:
        self._stub = worker_pb2_grpc.WorkerServiceStub(channel)
        self._declaration = declaration
        self._registration = registration
        self._desk = desk
        self._runs = runs
        self._on_drain = on_drain
        self._clock = clock
        self._metadata = credentials(api_key)
        self._self_stop = self_stop
        self._attach_timeout = attach_timeout
        self._control: deque[worker_pb2.ConnectRequest] = deque()
        self._news = asyncio.Event()
        self._last_ack = 0.0
        # Runs from the moment that the line broke, however often the worker dials in vain.
        self._cut_off: Timer | None = None

    def use(self, channel: grpc.aio.Channel) -> None:
        """Dial over this channel from the next time on."""
        self._stub = worker_pb2_grpc.WorkerServiceStub(channel)

    def wake(self) -> None:
        """There is something to send."""
        self._news.set()

    async def run(self) -> None:
        """Stay connected, for ever."""
        backoff = Backoff(self._clock)
        try:
            while True:
                ended = await self._session(backoff)
                self._runs.silence()
                _log.info("link to router broken", why=ended.message)
                if isinstance(ended, NotFound | PermissionDenied):
                    # Not to register again unasked: perhaps another instance took over, and this one has to stop.
                    self._registration.beat_now()
                await backoff.pause()
        finally:
            self._stop_timer()

    async def _session(self, backoff: Backoff) -> DevTeamError:
        call: Call = self._stub.Connect(metadata=self._metadata, wait_for_ready=True)
        try:
            attached = await self._attach(call)
            backoff.reset()
            self._runs.widen(attached.window_bytes)
            return await self._converse(call, attached)
        except grpc.aio.AioRpcError as error:
            return status.from_rpc(error)
        except DevTeamError as error:
            return error
        finally:
            call.cancel()

    def _stop_timer(self) -> None:
        if self._cut_off is not None:
            self._cut_off.cancel()

    async def _attach(self, call: Call) -> worker_pb2.Attached:
        self._control.clear()
        self._runs.silence()
        named = list(self._runs)
        await call.write(convert.attach_to_proto(self._declaration, self._registration.session_token, named))

        def hang_up() -> None:
            call.cancel()

        late = self._clock.call_later(self._attach_timeout, hang_up)
        try:
            first = await _next(call)
        finally:
            late.cancel()
        if first.WhichOneof("item") != "attached":
            raise Unavailable("the router did not begin with `attached`")
        if any(item.id not in self._runs for item in named):
            raise Unavailable("what it was told to be running was given up meanwhile")
        _log.info("attached to router", router_id=first.attached.router_id)
        return first.attached

    async def _converse(self, call: Call, attached: worker_pb2.Attached) -> DevTeamError:
        self._stop_timer()
        async with asyncio.TaskGroup() as group:
            others = [group.create_task(self._write(call)), group.create_task(self._beat(call, attached))]
            ended = await self._read(call)
            for task in others:
                task.cancel()
        self._cut_off = self._clock.call_later(self._self_stop, self._give_up)
        return ended

    async def _read(self, call: Call) -> DevTeamError:
        try:
            while True:
                self._hear(await _next(call))
        except DevTeamError as error:
            return error

    async def _write(self, call: Call) -> None:
        # A write that fails belongs to a stream that has ended: the reader will hear why.
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            while True:
                self._news.clear()
                for message in self._outgoing():
                    await call.write(message)
                await self._news.wait()

    async def _beat(self, call: Call, attached: worker_pb2.Attached) -> None:
        number = 0
        interval = attached.beat_interval.ToMilliseconds() / 1000
        patience = attached.beat_timeout.ToMilliseconds() / 1000
        self._last_ack = self._clock.monotonic()
        while self._clock.monotonic() - self._last_ack < patience:
            number += 1
            self._say(convert.beat_to_proto(number))
            await self._clock.sleep(interval)
        call.cancel()

    def _outgoing(self) -> Iterator[worker_pb2.ConnectRequest]:
        """All that there is to say, made at the moment it is written, so that what waits goes out together."""
        busy = True
        while busy:
            busy = False
            while self._control:
                yield self._control.popleft()
            for item in self._runs:
                if not item.has_news:
                    continue
                busy = True
                if item.transcript.unsent:
                    first_seq, tokens = item.transcript.take()
                    yield convert.tokens_to_proto(item.id, first_seq, tokens)
                elif item.outcome is not None:
                    item.report_sent = True
                    yield convert.report_to_proto(item.id, item.transcript.last_seq, item.outcome)

    def _say(self, message: worker_pb2.ConnectRequest) -> None:
        self._control.append(message)
        self._news.set()

    def _hear(self, response: worker_pb2.ConnectResponse) -> None:
        match response.WhichOneof("item"):
            case "tokens_ack":
                self._runs.acknowledge(_attempt(response.tokens_ack), response.tokens_ack.seq)
            case "beat_ack":
                self._last_ack = self._clock.monotonic()
            case "assign":
                self._consider(response.assign)
            case "cancel":
                fenced = response.cancel.reason == worker_pb2.CANCEL_REASON_FENCED
                self._runs.cancel(_attempt(response.cancel), fenced=fenced)
            case "resume":
                self._runs.resume(_attempt(response.resume), response.resume.after_seq)
            case "report_ack":
                self._runs.forget(_attempt(response.report_ack))
            case "drain" if response.drain.reason == worker_pb2.Drain.REASON_WORKER:
                self._on_drain(convert.drain_deadline_from_proto(response.drain))

    def _consider(self, assign: worker_pb2.Assign) -> None:
        assignment = convert.assignment_from_proto(assign)
        if assignment.id in self._runs:
            return
        if refusal := self._desk.refusal(assignment, self._runs):
            reason, message = refusal
            self._say(convert.rejected_to_proto(assignment.id, reason, message))
        else:
            self._runs.start(assignment)
            self._say(convert.accepted_to_proto(assignment.id))

    def _give_up(self) -> None:
        if self._runs.active():
            _log.warning("cut off from every router for too long: stopping what runs", seconds=self._self_stop)
        self._runs.stop_all()


async def _next(call: Call) -> worker_pb2.ConnectResponse:
    """The next message down. Raises what the stream ended with."""
    try:
        # Not `async for`: the first message is read before the others, and the two ways may not be mixed.
        response = await call.read()
    except grpc.aio.AioRpcError as error:
        raise status.from_rpc(error) from error
    except asyncio.CancelledError:
        # A call that we cancelled ourselves ends like this too.
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise Unavailable("the router does not answer") from None
    if not isinstance(response, worker_pb2.ConnectResponse):
        raise Unavailable("the router closed the stream")
    return response


def _attempt(
    message: worker_pb2.TokensAck | worker_pb2.Cancel | worker_pb2.Resume | worker_pb2.ReportAck,
) -> AttemptId:
    return AttemptId(message.task_id, message.attempt)
