"""The worker's end of its stream to one Router: dials out, attaches with what it has in hand, and dials again."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import grpc
import structlog

from devteam.mesh import status
from devteam.mesh.channel import credentials, open_channel
from devteam.mesh.clock import Clock
from devteam.mesh.errors import (
    Aborted,
    DevTeamError,
    FailedPrecondition,
    NotFound,
    PermissionDenied,
    Unauthenticated,
    Unavailable,
)
from devteam.mesh.tasks import Backoff
from devteam.mesh.tls import TlsFiles
from devteam.v1 import worker_pb2, worker_pb2_grpc
from devteam_worker.convert.registry import drain_deadline_from_proto
from devteam_worker.convert.router import assignment_from_proto, attach_to_proto, attempt_from_proto, word_to_proto
from devteam_worker.desk import Desk
from devteam_worker.domain import Declaration
from devteam_worker.links import Links
from devteam_worker.outbox import Outbox
from devteam_worker.registration import Registration
from devteam_worker.runs import Runs
from devteam_worker.words import Accepted, Beat, Offer, Rejected, Released

_log = structlog.get_logger()

Call = grpc.aio.StreamStreamCall[worker_pb2.ConnectRequest, worker_pb2.ConnectResponse]

# A Router answers `attach` sooner than this, also where it has to wait for the Registry's word first.
ATTACH_TIMEOUT = 15.0
# Seconds: a Router that is back is asked again within three, whatever else it takes.
_LONGEST_PAUSE = 2.5


@dataclass(frozen=True, slots=True)
class Switchboard:
    """What all lines of a worker have in common.

    `on_drain` hears that a Router wants the worker to leave, and within how many seconds. A Router that has not
    answered `attach` after `attach_timeout` seconds is dialled again.
    """

    links: Links
    declaration: Declaration
    registration: Registration
    desk: Desk
    runs: Runs
    on_drain: Callable[[float | None], None]
    clock: Clock
    api_key: str = field(default="", repr=False)
    tls: TlsFiles | None = None
    attach_timeout: float = ATTACH_TIMEOUT


class Link:
    """One task reads, one writes, one beats. A broken stream stops nothing that runs.

    `router` is the Router's address; runs are bound to it.
    """

    def __init__(self, router: str, board: Switchboard) -> None:
        self._router = router
        self._board = board
        self._registration = board.registration
        self._desk = board.desk
        self._runs = board.runs
        self._clock = board.clock
        self._outbox = Outbox(router, board.runs)
        self._last_ack = 0.0

    def wake(self) -> None:
        """One of the Router's runs has something to say."""
        self._outbox.wake()

    def look_around(self) -> None:
        """Runs have begun, ended or changed hands."""
        self._outbox.look_around()

    async def run(self) -> None:
        """Stay connected, for ever."""
        backoff = Backoff(self._clock, longest=_LONGEST_PAUSE)
        while True:
            try:
                channel = open_channel(self._router, api_key=self._board.api_key, tls=self._board.tls)
            except FailedPrecondition as error:
                # They could be used when the worker started: somebody is just renewing them.
                _log.warning("certificates cannot be used now", router=self._router, why=error.message)
                await backoff.pause()
                continue
            async with channel:
                await self._stay_connected(channel)

    async def _stay_connected(self, channel: grpc.aio.Channel) -> None:
        backoff = Backoff(self._clock, longest=_LONGEST_PAUSE)
        was_unknown = False
        while True:
            ended = await self._session(channel, backoff)
            _end_if_cancelled()
            _log.info("link to router broken", router=self._router, why=ended.message)
            unknown = isinstance(ended, NotFound | PermissionDenied | Unauthenticated)
            if unknown:
                # Not to register again unasked: perhaps another instance took over, and this one has to stop. Of keys,
                # too, the Registry knows more: a Router may not have heard of a new one yet.
                self._registration.beat_now()
            if unknown and not was_unknown:
                # It is back, and has forgotten this worker: how long it was away says nothing about how soon it hears.
                backoff.reset()
            was_unknown = unknown
            await backoff.pause()
            if isinstance(ended, Aborted):
                # Another of this worker's lines leads to the same Router, which keeps only the newest: they would turn
                # each other out for ever.
                await self._board.links.cut_off()

    async def _session(self, channel: grpc.aio.Channel, backoff: Backoff) -> DevTeamError:
        stub = worker_pb2_grpc.WorkerServiceStub(channel)
        call: Call = stub.Connect(metadata=credentials(self._board.api_key), wait_for_ready=True)
        try:
            attached = await self._attach(call)
            backoff.reset()
            self._runs.widen(attached.window_bytes)
            with self._board.links.attached(self._router):
                return await self._converse(call, attached)
        except grpc.aio.AioRpcError as error:
            return status.from_rpc(error)
        except DevTeamError as error:
            return error
        finally:
            call.cancel()

    async def _attach(self, call: Call) -> worker_pb2.Attached:
        named, occupied = self._outbox.introduce()
        await call.write(attach_to_proto(self._board.declaration, self._registration.session_token, named, occupied))

        def hang_up() -> None:
            call.cancel()

        late = self._clock.call_later(self._board.attach_timeout, hang_up)
        try:
            first = await _next(call)
        finally:
            late.cancel()
        if first.WhichOneof("item") != "attached":
            raise Unavailable("the router did not begin with `attached`")
        if any(item.id not in self._runs or not item.heeds(self._router) for item in named):
            raise Unavailable("what it was told to be running was given up meanwhile, or went to another router")
        self._desk.concurrency = first.attached.concurrency or self._desk.concurrency
        _log.info("attached to router", router=self._router, router_id=first.attached.router_id)
        return first.attached

    async def _converse(self, call: Call, attached: worker_pb2.Attached) -> DevTeamError:
        async with asyncio.TaskGroup() as group:
            others = [group.create_task(self._write(call)), group.create_task(self._beat(call, attached))]
            ended = await self._read(call)
            for task in others:
                task.cancel()
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
                await self._outbox.news()
                for word in self._outbox.words():
                    await call.write(word_to_proto(word))

    async def _beat(self, call: Call, attached: worker_pb2.Attached) -> None:
        number = 0
        interval = attached.beat_interval.ToMilliseconds() / 1000
        patience = attached.beat_timeout.ToMilliseconds() / 1000
        self._last_ack = self._clock.monotonic()
        while self._clock.monotonic() - self._last_ack < patience:
            number += 1
            self._outbox.answer(Beat(number))
            await self._clock.sleep(interval)
        call.cancel()

    def _hear(self, response: worker_pb2.ConnectResponse) -> None:
        match response.WhichOneof("item"):
            case "tokens_ack":
                ack = response.tokens_ack
                self._runs.acknowledge(attempt_from_proto(ack), ack.seq, self._router)
            case "beat_ack":
                self._last_ack = self._clock.monotonic()
            case "assign":
                self._consider(response.assign)
            case "cancel":
                fenced = response.cancel.reason == worker_pb2.CANCEL_REASON_FENCED
                self._runs.cancel(attempt_from_proto(response.cancel), self._router, fenced=fenced)
            case "resume":
                self._resume(response.resume)
            case "report_ack":
                self._runs.forget(attempt_from_proto(response.report_ack), self._router)
            case "slots":
                self._desk.concurrency = response.slots.concurrency
            case "drain" if response.drain.reason == worker_pb2.Drain.REASON_WORKER:
                self._board.on_drain(drain_deadline_from_proto(response.drain))

    def _consider(self, assign: worker_pb2.Assign) -> None:
        assignment = assignment_from_proto(assign)
        if item := self._runs.get(assignment.id):
            if item.router != self._router:
                # Its Router is gone, and the next one was never told where it runs.
                self._runs.resume(assignment.id, 0, self._router)
                self._outbox.answer(Accepted(assignment.id))
        elif refusal := self._desk.refusal(assignment, self._runs):
            self._outbox.answer(Rejected(assignment.id, *refusal))
        else:
            self._runs.start(assignment, self._router)
            self._outbox.answer(Accepted(assignment.id))

    def _resume(self, resume: worker_pb2.Resume) -> None:
        attempt = attempt_from_proto(resume)
        item = self._runs.get(attempt)
        if item is None:
            self._outbox.answer(Released(attempt))
            return
        if self._router not in item.told:
            # Its Planner came here from the Router that has it, and named this worker: which queue it is of, and that
            # it is here at all, this Router has to hear first.
            self._outbox.answer(Offer([item]))
        self._runs.resume(attempt, resume.after_seq, self._router)


def _end_if_cancelled() -> None:
    """Raise a cancellation that gRPC swallowed: it does so when a call ends with an error at the same moment."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


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
