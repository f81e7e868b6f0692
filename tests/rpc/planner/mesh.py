"""A Planner without drivers on a real server, and a client of it: the test plays Router and workers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from devteam_planner.admission import Admission, Bounds
from devteam_planner.app import Stores, opened_stores
from devteam_planner.bell import Bell
from devteam_planner.departures import Departures
from devteam_planner.domain import Batch, Completion, TaskState, Usage, WorkerInstance
from devteam_planner.erasure import Erasure
from devteam_planner.feed import Feed
from devteam_planner.onlookers import Onlookers
from devteam_planner.plans import Plans
from devteam_planner.ports import Ending, PlanStore
from devteam_planner.servicer import PlannerServicer
from devteam_planner.token_log import TokenLog
from devteam_planner.watch import Watch

from devteam.mesh.channel import open_channel
from devteam.mesh.clock import SystemClock
from devteam.mesh.errors import DevTeamError
from devteam.mesh.interceptors.auth import Authorizer, LoopbackAuthorizer
from devteam.mesh.server import Listen, MeshServer
from devteam.mesh.status import from_rpc
from devteam.mesh.tasks import background
from devteam.v1 import planner_pb2 as pb
from devteam.v1.planner_pb2_grpc import PlannerServiceStub, add_PlannerServiceServicer_to_server
from tests.fakes.clock import FakeClock
from tests.fakes.ids import CountingIds
from tests.fakes.router_port import FakeRouter
from tests.fakes.standing import a_standing
from tests.fakes.workflows import FakeWorkflows

if TYPE_CHECKING:  # the stubs' types name it, the generated code does not
    from devteam.v1.planner_pb2_grpc import PlannerServiceAsyncStub

COMPLETION = Completion("sim", "sim-1", usage=Usage(3, 5))


@dataclass(frozen=True, slots=True)
class Mesh:
    """A running server, its client, and what lies behind."""

    channel: grpc.aio.Channel
    stub: "PlannerServiceAsyncStub"
    store: PlanStore
    log: TokenLog
    bell: Bell
    workflows: FakeWorkflows
    router: FakeRouter
    server: MeshServer
    clock: FakeClock

    async def create(self, *steps: pb.StepSpec, **more: Any) -> pb.Plan:
        """Create a plan of these steps."""
        request = pb.CreatePlanRequest(name="research", steps=steps, **more)
        return (await self.stub.CreatePlan(request)).plan

    async def begin(self, task_id: str, reason: str = "first attempt") -> None:
        """Begin the task's next attempt and give it to a worker."""
        task = await self.store.task(task_id)
        assert await self.store.begin_attempt(task_id, after=task.attempt, reason=reason, now=self.clock.now())
        worker = WorkerInstance("w1", "i1")
        assert await self.store.note_assigned(task_id, task.attempt + 1, worker, "default", "in turn", self.clock.now())
        self.bell.ring(task.plan_id)

    async def say(self, task_id: str, *batches: Batch) -> None:
        """Store tokens of the task's attempt."""
        task = await self.store.task(task_id)
        assert task.worker
        for batch in batches:
            await self.log.append(task.plan_id, task_id, task.attempt, task.worker, batch)
        await self.log.settle(task_id, task.attempt)

    async def succeed(self, task_id: str, output: str) -> None:
        """End the task's attempt well."""
        task = await self.store.task(task_id)
        ending = Ending(TaskState.SUCCEEDED, burns=False, output=output, completion=COMPLETION)
        assert await self.store.end_attempt(task_id, task.attempt, task.worker, ending, self.clock.now())
        self.bell.ring(task.plan_id)


@asynccontextmanager
async def running(
    clock: FakeClock,
    database_url: str = "memory",
    *,
    bounds: Bounds | None = None,
    backlog: int = 5_000,
    authorizer: Authorizer | None = None,
) -> AsyncIterator[Mesh]:
    """A Planner, in memory unless said otherwise, on a port of its own."""
    async with AsyncExitStack() as stack:
        stores = await stack.enter_async_context(opened_stores(database_url))
        bell = Bell(clock)
        feed = Feed(stores.overview, bell, clock, backlog=backlog)
        yield await stack.enter_async_context(
            _on(stores, feed, bell, bounds or Bounds(), clock, authorizer or LoopbackAuthorizer())
        )


@asynccontextmanager
async def _on(
    stores: Stores,
    feed: Feed,
    bell: Bell,
    bounds: Bounds,
    clock: FakeClock,
    authorizer: Authorizer,
) -> AsyncIterator[Mesh]:
    ids = CountingIds()
    workflows, router = FakeWorkflows(), FakeRouter()
    store = stores.plans
    log = TokenLog(stores.tokens, bell, lambda *_: None, SystemClock())
    admission = Admission(store, bounds, clock, jitter=lambda: 0.5)
    plans = Plans(store=store, admission=admission, workflows=workflows, router=router, bell=bell, clock=clock, ids=ids)
    server = MeshServer(Listen(port=0, stop_grace=0.5), ids, authorizer)
    departures = Departures(plans.cancel_plan, clock)
    onlookers, standing = Onlookers(feed, clock), a_standing("planner", clock)
    erasure = Erasure(stores.erasures, store, workflows, clock, cancel=plans.cancel_plan, ring=bell.ring)
    servicer = PlannerServicer(plans, Watch(store, log, bell, clock), onlookers, departures, standing, erasure)
    add_PlannerServiceServicer_to_server(servicer, server.server)
    server.serve(["devteam.v1.PlannerService"], departures.close)
    port = await server.start()
    async with background(log.run, departures.run, feed.run), open_channel(f"http://127.0.0.1:{port}") as channel:
        try:
            yield Mesh(channel, PlannerServiceStub(channel), store, log, bell, workflows, router, server, clock)
        finally:
            await server.stop()


def step(step_id: str, prompt: str = "Say hello", *, depends_on: tuple[str, ...] = (), **more: Any) -> pb.StepSpec:
    """A step that is fine unless the test says otherwise."""
    return pb.StepSpec(id=step_id, prompt=prompt, model="sim", depends_on=depends_on, **more)


async def refusal(call: Awaitable[Any]) -> tuple[grpc.StatusCode, DevTeamError]:
    """The status and the domain error that a call is refused with."""
    async with asyncio.timeout(60):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
    return caught.value.code(), from_rpc(caught.value)


async def events(call: Any) -> list[Any]:
    """Everything that a watch tells until it ends."""
    async with asyncio.timeout(60):
        return [response async for response in call]
