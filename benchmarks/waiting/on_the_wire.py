"""Drivers that wait for a Router, on a real stream between the two, without Temporal."""

import asyncio
import tempfile
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from devteam_cli.ports import free_port
from devteam_planner.app import opened_stores
from devteam_planner.bell import Bell
from devteam_planner.convert.tokens import text_of
from devteam_planner.domain import Plan
from devteam_planner.ports import PlanStore
from devteam_planner.router_client.routers import Routers
from devteam_planner.step_driver import StepDriver
from devteam_planner.token_log import TokenLog
from devteam_router import app as router
from devteam_router.settings import Settings

from benchmarks.waiting.growth import growth
from devteam.mesh.channel import open_channel
from devteam.mesh.clock import SystemClock
from devteam.mesh.ids import TimeOrderedIds
from devteam.mesh.server import Listen, MeshServer
from devteam.mesh.tasks import background
from devteam.mesh.telemetry import telemetry
from tests.fakes.planner_samples import a_sole_task

_RINGS_UNTIL_IT_WAITS = 2  # begun, and in the Router's line


async def on_the_wire(prompt_bytes: int) -> float:
    """The KB of one: its driver, its stream, and all that stands in the Router, with traces."""
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        await stack.enter_async_context(telemetry("waiting", folder / "traces.db"))
        url = await _router(stack, clock)
        stores = await stack.enter_async_context(opened_stores(f"sqlite:///{folder / 'planner.db'}"))
        routers = Routers({url: await stack.enter_async_context(open_channel(url))}, clock)
        log = TokenLog(stores.tokens, Bell(clock), routers.acknowledge, clock)
        await stack.enter_async_context(background(log.run, routers.run))
        crowd = Crowd(stores.plans, log, routers, clock, prompt_bytes)
        try:
            return await growth(crowd.begin)
        finally:
            await crowd.leave()


async def _router(stack: AsyncExitStack, clock: SystemClock) -> str:
    """A Router that knows of no worker; where it answers."""
    server = MeshServer(Listen(port=0), TimeOrderedIds(clock))
    settings = Settings(registry_address=f"http://127.0.0.1:{free_port()}")
    await stack.enter_async_context(router.mounted(server, settings, clock, server.ids))
    port = await server.start()
    stack.push_async_callback(server.stop)
    return f"http://127.0.0.1:{port}"


class Crowd:
    """Drivers of tasks that wait."""

    def __init__(
        self, store: PlanStore, log: TokenLog, routers: Routers, clock: SystemClock, prompt_bytes: int
    ) -> None:
        self._store = store
        self._prompt = "x" * prompt_bytes
        self._driver = StepDriver(
            store=store,
            log=log,
            router=routers,
            clock=clock,
            ring=self._ring,
            text_of=text_of,
            jitter=lambda: 0.0,
            on_ended=lambda *_: None,
        )
        self._tasks: list[asyncio.Task[object]] = []
        self._rings = 0
        self._rung = asyncio.Event()

    async def begin(self, first: int, count: int) -> None:
        """Have so many more wait."""
        for number in range(first, first + count):
            plan = self._plan(f"t-{number}")
            await self._store.add(plan)
            self._tasks.append(asyncio.create_task(self._driver.run(plan.plan_id, plan.tasks[0].task_id)))
        while self._rings < _RINGS_UNTIL_IT_WAITS * (first + count):
            self._rung.clear()
            await self._rung.wait()

    async def leave(self) -> None:
        """Let none of them wait any longer."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _plan(self, its_id: str) -> Plan:
        plan = a_sole_task(its_id)
        [task] = plan.tasks
        return replace(plan, tasks=(replace(task, spec=replace(task.spec, prompt=self._prompt, queue="nobody")),))

    def _ring(self, _plan_id: str) -> None:
        self._rings += 1
        self._rung.set()
