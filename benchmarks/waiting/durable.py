"""Activities that wait, as Temporal's SDK holds them: without a driver, and with or without their workflows."""

import asyncio
import tempfile
from pathlib import Path

from devteam_cli.ports import free_port
from devteam_cli.temporal_server import temporal_dev_server
from devteam_planner.activities import PlanActivities
from devteam_planner.domain import StepOutcome
from devteam_planner.store.memory import MemoryPlanStore
from devteam_planner.temporal import TemporalWorkflows, connect, plan_worker

from benchmarks.waiting.growth import growth
from devteam.mesh.clock import SystemClock
from tests.fakes.planner_samples import a_sole_task

_TASK_QUEUE = "waiting"
_STARTS_AT_ONCE = 20
_EVERY_ONE, _HARDLY_ANY = 10_000, 10


class Waiters:
    """Drivers that wait for ever."""

    def __init__(self) -> None:
        self._count = 0
        self._one_more = asyncio.Event()

    async def run(self, plan_id: str, task_id: str) -> StepOutcome:
        """Wait."""
        self._count += 1
        self._one_more.set()
        await asyncio.Event().wait()
        raise AssertionError("nothing ends it but a cancellation")

    async def are(self, count: int) -> None:
        """Return once there are so many."""
        while self._count < count:
            self._one_more.clear()
            await self._one_more.wait()


async def durable(*, cached: bool) -> float:
    """The KB of one: its activity, and its workflow if that is in the cache."""
    clock, waiters = SystemClock(), Waiters()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        async with temporal_dev_server(place, port=free_port(), ui_port=None, log=place / "temporal.log") as server:
            client = await connect(server.address, "default", clock)
            activities = PlanActivities(waiters, MemoryPlanStore(), lambda _: None, clock)
            size = _EVERY_ONE if cached else _HARDLY_ANY
            workflows = TemporalWorkflows(client, task_queue=_TASK_QUEUE, patience=60)

            async def begin(first: int, count: int) -> None:
                room = asyncio.Semaphore(_STARTS_AT_ONCE)

                async def one(number: int) -> None:
                    async with room:
                        await workflows.start(a_sole_task(f"t-{number}"))

                await asyncio.gather(*(one(number) for number in range(first, first + count)))
                await waiters.are(first + count)

            async with plan_worker(client, activities, task_queue=_TASK_QUEUE, max_cached_workflows=size):
                return await growth(begin)
