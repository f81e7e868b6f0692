"""Creates over a line that breaks again and again: what is repeated with its request id happens once."""

import asyncio
from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING

import grpc
import pytest

from devteam.mesh.channel import open_channel
from devteam.mesh.clock import SystemClock
from devteam.mesh.errors import Unavailable
from devteam.mesh.status import from_rpc
from devteam.mesh.tasks import Backoff, background
from devteam.v1 import planner_pb2 as pb
from devteam.v1.planner_pb2_grpc import PlannerServiceStub
from tests.fakes.clock import FakeClock
from tests.fakes.relay import Relay
from tests.rpc.planner.mesh import Mesh, running

if TYPE_CHECKING:  # the stubs' types name it, the generated code does not
    from devteam.v1.planner_pb2_grpc import PlannerServiceAsyncStub

# How often each create is sent, at the same time, and how many creates are under way.
REPEATS = 5
AT_ONCE = 8
# Between two cuts.
FEWEST_ANSWERS, MOST_ANSWERS = 20, 200


class Cutter:
    """Cuts a line after a random number of answers, so that work goes on however slow it is, and mends it at once."""

    def __init__(self, relay: Relay, port: int) -> None:
        self._relay = relay
        self._port = port
        self._random = Random(7)
        self._answered = asyncio.Semaphore(0)
        self.cuts = 0

    def count_answer(self) -> None:
        """An answer came through."""
        self._answered.release()

    async def run(self) -> None:
        """Never returns."""
        while True:
            for _ in range(self._random.randint(FEWEST_ANSWERS, MOST_ANSWERS)):
                await self._answered.acquire()
            await self._relay.cut()
            self.cuts += 1
            self._relay.open(self._port)


async def created(stub: "PlannerServiceAsyncStub", request_id: str, cutter: Cutter) -> str:
    """Create a task, trying for as long as it takes; returns its id."""
    request = pb.CreateTaskRequest(task=pb.TaskSpec(prompt=request_id, model="sim"), request_id=request_id)
    backoff = Backoff(SystemClock(), first=0.05, longest=0.5)
    while True:
        try:
            answer = await stub.CreateTask(request, timeout=60)
        except grpc.aio.AioRpcError as error:
            if not isinstance(from_rpc(error), Unavailable):
                raise
            await backoff.pause()
        else:
            cutter.count_answer()
            return answer.task.task_id


async def creates(mesh: Mesh, count: int) -> tuple[Sequence[set[str]], int]:
    """What ids each of `count` creates was answered with, and how often the line was cut meanwhile."""
    relay, room = Relay("127.0.0.1", mesh.server.port), asyncio.Semaphore(AT_ONCE)
    port = relay.open()
    cutter = Cutter(relay, port)

    async def repeated(stub: "PlannerServiceAsyncStub", number: int) -> set[str]:
        async with room:
            return set(await asyncio.gather(*(created(stub, f"r-{number}", cutter) for _ in range(REPEATS))))

    try:
        async with open_channel(f"http://127.0.0.1:{port}") as channel, background(cutter.run):
            stub = PlannerServiceStub(channel)
            return await asyncio.gather(*(repeated(stub, number) for number in range(count))), cutter.cuts
    finally:
        await relay.cut()


@pytest.fixture(params=["sqlite_url", "postgres_url"])
def url(request: pytest.FixtureRequest) -> str:
    """A fresh database of each kind."""
    return str(request.getfixturevalue(request.param))


@pytest.mark.timeout(600)
async def test_a_create_that_is_sent_again_and_again_makes_one_task_and_one_workflow(
    url: str, clock: FakeClock
) -> None:
    """A sample of a hundred, over a line that is cut at least twice; the thousand that are promised are slow."""
    await check(url, 100, clock)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_and_so_do_a_thousand(url: str, clock: FakeClock) -> None:
    await check(url, 1_000, clock)


async def check(url: str, count: int, clock: FakeClock) -> None:
    async with running(clock, url) as mesh:
        answers, cuts = await creates(mesh, count)
        assert cuts >= count * REPEATS // MOST_ANSWERS
        assert all(len(ids) == 1 for ids in answers)
        tasks = set().union(*answers)
        assert len(tasks) == count
        assert set(mesh.workflows.started) == tasks
        assert sum((await mesh.store.open_tasks()).values()) == count
        assert await mesh.store.unstarted(1) == []
