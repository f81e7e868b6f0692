"""A full disk: nothing new comes in, what runs goes on and loses nothing. Real Router, Planner parts and databases."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

import pytest
from devteam_planner.bell import Bell
from devteam_planner.convert.tokens import text_of
from devteam_planner.domain import StepOutcome, TaskState
from devteam_planner.router_client.routers import Routers
from devteam_planner.step_driver import StepDriver
from devteam_planner.store.sql_plans import SqlPlanStore
from devteam_planner.store.sql_tokens import SqlTokenStore
from devteam_planner.store_health import StoreHealth
from devteam_planner.token_log import TokenLog
from devteam_router.graces import Graces
from grpc_health.v1 import health_pb2, health_pb2_grpc

from devteam.mesh.channel import open_channel
from devteam.mesh.clock import SystemClock
from devteam.mesh.database import Database
from devteam.mesh.errors import Unavailable
from devteam.mesh.server import Listen, MeshServer
from devteam.mesh.tasks import background
from devteam.v1 import worker_pb2
from tests.fakes.clock import FakeClock
from tests.fakes.full_disk import Disk, disk_of
from tests.fakes.ids import CountingIds
from tests.fakes.planner_samples import PLAIN, a_plan, a_sole_task, a_task
from tests.fakes.router_samples import a_worker
from tests.fakes.worker_line import WorkerLine
from tests.rpc.router import mesh as router_mesh
from tests.stores.planner_databases import opened

WINDOW = 64 * 1024
# More than what a window, the Planner's buffers and the pages at hand could swallow.
TOKENS = [f"{number:06}".ljust(8 * 1024, ".") for number in range(100)]
PATIENCE = 60.0
TABLES = ("plans", "tasks", "attempts", "token_batches")


@dataclass(frozen=True, slots=True)
class Place:
    """A database, and the disk it is on."""

    database: Database
    disk: Disk
    plans: SqlPlanStore
    tokens: SqlTokenStore


@pytest.fixture(params=["sqlite_url", "postgres_url"])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    url = str(request.getfixturevalue(request.param))
    async with opened(url) as database:
        yield Place(database, disk_of(database, url, *TABLES), SqlPlanStore(database), SqlTokenStore(database))


class Model:
    """A worker that keeps to its window: it says no more while that much is not acknowledged."""

    def __init__(self, line: WorkerLine) -> None:
        self._line = line
        self.said = 0
        self.acknowledged = 0
        self.reported = asyncio.Event()

    @property
    def stopped(self) -> bool:
        """It waits for acknowledgements, or has said everything."""
        return (self.said - self.acknowledged + 1) * len(TOKENS[0]) > WINDOW or self.said == len(TOKENS)

    async def run(self) -> None:
        """One run, from its assignment until its report is acknowledged."""
        assign = (await self._line.hear()).assign
        await self._line.accept(assign.run.task_id)
        while True:
            while not self.stopped:
                await self._line.speak(assign.run.task_id, self.said + 1, TOKENS[self.said])
                self.said += 1
            if self.said == len(TOKENS):
                await self._line.complete(assign.run.task_id, self.said)
            if (await self._heard()).HasField("report_ack"):
                self.reported.set()
                return

    async def _heard(self) -> worker_pb2.ConnectResponse:
        response = await self._line.hear()
        if response.HasField("tokens_ack"):
            self.acknowledged = response.tokens_ack.seq
        return response


@asynccontextmanager
async def driving(place: Place, clock: FakeClock) -> AsyncIterator[tuple[StepDriver, Model]]:
    """A Planner's driver on the database, a Router, and a worker that is attached to it."""
    system = SystemClock()
    async with AsyncExitStack() as stack:
        router = await stack.enter_async_context(router_mesh.running(clock, Graces(window_bytes=WINDOW)))
        channel = await stack.enter_async_context(open_channel(f"http://127.0.0.1:{router.server.port}"))
        client, bell = Routers({"only": channel}, system), Bell(system)
        log = TokenLog(place.tokens, bell, client.acknowledge, system)
        driver = StepDriver(
            store=place.plans,
            log=log,
            router=client,
            clock=system,
            ring=bell.ring,
            text_of=text_of,
            jitter=lambda: 0.5,
            on_ended=lambda *_: None,
        )
        await stack.enter_async_context(background(log.run, client.run))
        line = await router.worker(a_worker(queues={"default": 1}))
        stack.callback(line.hang_up)
        yield driver, Model(line)


async def until(condition: Callable[[], bool]) -> None:
    """Look again and again until it holds: nobody rings when a disk is full."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.mark.timeout(600)
async def test_a_generation_is_slowed_and_goes_on_with_no_token_lost_or_doubled(place: Place, clock: FakeClock) -> None:
    await place.plans.add(a_sole_task())
    async with driving(place, clock) as (driver, model), asyncio.timeout(2 * PATIENCE), asyncio.TaskGroup() as group:
        speaking = group.create_task(model.run())
        driven = group.create_task(driver.run("t-1", "t-1"))
        await until(lambda: model.acknowledged >= 10)
        await place.disk.fill()
        await until(lambda: place.database.full and model.stopped)
        assert not driven.done()
        assert not speaking.done()
        assert model.said < len(TOKENS)
        assert (await place.plans.task("t-1")).state is TaskState.RUNNING
        with pytest.raises(Unavailable, match="the disk of the database is full"):
            await place.plans.add(a_plan("p-2"))
        await place.disk.free()
        assert await driven == StepOutcome(TaskState.SUCCEEDED)
        await speaking
    task = await place.plans.task("t-1")
    assert (task.attempt, task.burnt, task.output) == (1, 0, "".join(TOKENS))
    stored = await place.tokens.read("t-1", 1, after=0, limit=1000)
    assert [seq for batch in stored for seq in range(batch.first_seq, batch.last_seq + 1)] == list(
        range(1, len(TOKENS) + 1)
    )


async def test_new_work_is_refused_in_words_and_taken_again_when_there_is_room(place: Place) -> None:
    big = replace(a_plan(), tasks=(a_task("p-1", "a", spec=replace(PLAIN, prompt="x" * 200_000)),))
    await place.disk.fill()
    with pytest.raises(Unavailable) as refused:
        await place.plans.add(big)
    assert refused.value.reason == "STORAGE_UNAVAILABLE"
    assert refused.value.retry_after > 0
    assert "disk of the database is full" in refused.value.message
    assert await place.plans.plans(state=None, before="", limit=9) == []
    await place.disk.free()
    assert await place.plans.add(big) == big


async def test_health_says_so_for_as_long_as_it_lasts(place: Place, clock: FakeClock) -> None:
    name = "devteam.v1.PlannerService"
    server = MeshServer(Listen(port=0), CountingIds())
    server.serve([name])
    port = await server.start()

    async def announce(*, serving: bool) -> None:
        await server.announce([name], serving=serving)

    async with open_channel(f"http://127.0.0.1:{port}") as channel:
        health = health_pb2_grpc.HealthStub(channel)

        async def status() -> int:
            answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
            return int(answer.status)

        async def becomes(expected: int) -> None:
            async with asyncio.timeout(PATIENCE):
                while await status() != expected:
                    clock.advance(1.0)
                    await asyncio.sleep(0.01)

        async with background(StoreHealth(place.database, announce, clock).run):
            await becomes(health_pb2.HealthCheckResponse.SERVING)
            await place.disk.fill()
            with pytest.raises(Unavailable):
                await place.plans.add(
                    replace(a_plan(), tasks=(a_task("p-1", "a", spec=replace(PLAIN, prompt="x" * 200_000)),))
                )
            await becomes(health_pb2.HealthCheckResponse.NOT_SERVING)
            await place.disk.free()
            await becomes(health_pb2.HealthCheckResponse.SERVING)
    await server.stop()
