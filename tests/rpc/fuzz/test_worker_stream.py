"""Any frames on a worker's stream: it ends with a status that says why, and Router and Planner go on."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import grpc
import pytest
from devteam_router.domain import AttemptId
from devteam_router.graces import Graces
from devteam_router.ports import FleetSnapshot

from devteam.mesh.interceptors import call as interceptor
from devteam.mesh.tasks import cancelled
from devteam.v1 import router_pb2, worker_pb2
from tests.fakes.clock import FakeClock
from tests.fakes.mutations import Mutator
from tests.fakes.router_bench import left_over
from tests.fakes.router_samples import a_worker, token_of
from tests.rpc.fuzz.storm import PATIENCE, Answers, no_more_tasks_than, random_for, share
from tests.rpc.router.mesh import Mesh, a_run, running

# How fast the answers came is read with: pytest --log-cli-level INFO
log = logging.getLogger(__name__)

pytestmark = pytest.mark.timeout(600)

CONNECT = "/devteam.v1.WorkerService/Connect"
LANES = 16
FRAMES_A_STREAM = 40
FRAME = worker_pb2.ConnectRequest.DESCRIPTOR


class Heard:
    """Counts the messages that the server's streams have read, good or not."""

    def __init__(self) -> None:
        self.frames = 0

    def around(self, read: Callable[..., object]) -> Callable[..., object]:
        """The interceptor's way to read a message from its bytes, and a counter."""

        def counting(*said: Any) -> object:
            self.frames += 1
            return read(*said)

        return counting


class Lane:
    """One worker with a queue of its own, and the one task in it: stream after stream, each with the next attempt."""

    def __init__(self, mesh: Mesh, number: int, answers: Answers) -> None:
        self.name = f"w{number}"
        self.random = random_for(f"lane {number}")
        self._mesh = mesh
        self._answers = answers
        self._attempt = 0
        mesh.register(a_worker(self.name, queues={self.name: 4}))

    async def play(self, heard: Heard, until: int) -> None:
        """Stream upon stream, until so many frames were read in all lanes."""
        while heard.frames < until:
            self._attempt += 1
            task = f"{self.name}-{self._attempt // 3}"
            run = a_run(task, self._attempt, queue=self.name)
            planner = self._mesh.stub.Dispatch(router_pb2.DispatchRequest(run=run))
            listening = asyncio.create_task(self._listen(planner, task))
            await self._stream(self._frames(task, Mutator(self.random, self._words(task))))
            planner.cancel()
            with suppress(asyncio.CancelledError):
                await listening

    def _words(self, task: str) -> dict[str, list[Any]]:
        attempt = self._attempt
        return {
            "task_id": [task, task, task, "t-none"],
            "attempt": [attempt, attempt, attempt, max(attempt - 1, 1), attempt + 1],
            "first_seq": [1, 1, 2, 3],
            "last_seq": [0, 1, 2, 3],
            "worker_id": [self.name],
            "instance_id": ["i1"],
            "session_token": [token_of(self.name)],
            "queue": [self.name, "default"],
            "nanos": [0],
            "seconds": [1],
        }

    def _frames(self, task: str, mutator: Mutator) -> list[bytes]:
        attach = worker_pb2.Attach(worker_id=self.name, instance_id="i1", session_token=token_of(self.name))
        first = worker_pb2.ConnectRequest(attach=attach).SerializeToString()
        if self.random.random() < 0.2:
            first = mutator.request(FRAME)
        frames = [mutator.request(FRAME, spoiled=0.4, broken=0.04) for _ in range(FRAMES_A_STREAM)]
        # A second attach ends the stream: some of them are left in.
        second = [frame for frame in frames if frame[:1] == b"\x0a"]
        return [first, *(frame for frame in frames if frame not in second or self.random.random() < 0.1)]

    async def _stream(self, frames: list[bytes]) -> None:
        start: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = self._mesh.channel.stream_stream(CONNECT)
        call = start()
        error: grpc.aio.AioRpcError | None = None
        said_all = [time.perf_counter()]
        writer = asyncio.create_task(_say(call, frames, said_all))
        try:
            async with asyncio.timeout(PATIENCE):
                while await call.read() is not grpc.aio.EOF:
                    pass
        except grpc.aio.AioRpcError as refusal:
            # A write into a stream that is just ending hides the Router's status behind one of the library's own.
            error = None if refusal.details() == "Internal error from Core" else refusal
        except TimeoutError:
            self._answers.late("Connect", b"".join(frames))
        finally:
            call.cancel()
            await cancelled(writer)
        self._answers.note("Connect", error, time.perf_counter() - said_all[-1], b"".join(frames))

    async def _listen(self, planner: Any, task: str) -> None:
        """Be the Planner: it must never hear of a defect, whatever its worker says."""
        try:
            async for event in planner:
                self._store(task, event)
        except grpc.aio.AioRpcError as error:
            self._answers.note("Dispatch", error, 0.0, task.encode())

    def _store(self, task: str, event: router_pb2.DispatchResponse) -> None:
        acknowledge = self._mesh.core.planners.acknowledge
        match event.WhichOneof("event"):
            case "tokens":
                seq = event.tokens.first_seq + len(event.tokens.tokens) - 1
                acknowledge(AttemptId(task, self._attempt), seq, report=False)
            case "report" if self._attempt % 2:
                acknowledge(AttemptId(task, self._attempt), event.report.last_seq, report=True)


async def _say(call: Any, frames: list[bytes], said_all: list[float]) -> None:
    """Write everything, unless the Router ends the stream before: whoever reads it hears why."""
    with suppress(asyncio.InvalidStateError, grpc.aio.AioRpcError):
        for frame in frames:
            await call.write(frame)
        await call.done_writing()
    said_all.append(time.perf_counter())


async def test_the_router_answers_any_frames_of_a_worker(
    frames: int, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard, answers, until = Heard(), Answers(), share("worker stream", frames)
    monkeypatch.setattr(interceptor, "_read", heard.around(interceptor._read))
    async with running(clock, Graces(attach=PATIENCE / 2, admission=0.2)) as mesh:
        before = len(asyncio.all_tasks())
        lanes = [Lane(mesh, number, answers) for number in range(LANES)]
        async with asyncio.TaskGroup() as group:
            for lane in lanes:
                group.create_task(lane.play(heard, until))
        assert heard.frames >= until
        log.info("%s", answers.judge())
        await no_more_tasks_than(before)
        clock.advance(200)
        mesh.core.hear(FleetSnapshot((), complete=True, first=True))
        assert left_over(mesh.core, clock) == []
        await one_good_run(mesh)


async def one_good_run(mesh: Mesh) -> None:
    line = await mesh.worker(a_worker("good", queues={"good": 1}))
    planner = mesh.dispatch(a_run("good", queue="good"))
    assert (await planner.hear()).assigned.worker.worker_id == "good"
    assert (await line.hear()).assign.run.task_id == "good"
    await line.accept("good")
    await line.speak("good", 1, "hello")
    await line.complete("good", 1)
    events, (code, _) = await planner.hear_out()
    assert (events[-1].report.last_seq, code) == (1, grpc.StatusCode.OK)
