"""The Planner's composition root."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random

from devteam.mesh.channel import open_channel
from devteam.mesh.clock import Clock, SystemClock
from devteam.mesh.database import open_database
from devteam.mesh.ids import Ids, TimeOrderedIds
from devteam.mesh.logs import configure_logs
from devteam.mesh.server import Listen, MeshServer
from devteam.mesh.tasks import background, stop_signal
from devteam.mesh.telemetry import configure_telemetry
from devteam.v1 import planner_pb2, planner_pb2_grpc
from devteam_planner.activities import PlanActivities
from devteam_planner.bell import Bell
from devteam_planner.convert.tokens import text_of
from devteam_planner.plans import Plans
from devteam_planner.ports import PlanStore, TokenStore
from devteam_planner.router_client import RouterClient
from devteam_planner.servicer import PlannerServicer
from devteam_planner.settings import Settings
from devteam_planner.step_driver import StepDriver
from devteam_planner.store.memory import MemoryPlanStore, MemoryTokenStore
from devteam_planner.store.sql_plans import SqlPlanStore
from devteam_planner.store.sql_tokens import SqlTokenStore
from devteam_planner.store.tables import MIGRATIONS
from devteam_planner.temporal import TemporalWorkflows, connect, plan_worker
from devteam_planner.token_log import TokenLog
from devteam_planner.watch import Watch

_NAME = planner_pb2.DESCRIPTOR.services_by_name["PlannerService"].full_name


@asynccontextmanager
async def mounted(
    server: MeshServer, settings: Settings, clock: Clock, ids: Ids
) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Mount the Planner on a server; yields its background job, to be run once the server is up.

    Waits for Temporal. Raises Unavailable when the database cannot be reached.
    """
    async with AsyncExitStack() as stack:
        plan_store, token_store = await _stores(stack, settings.database_url)
        channel = await stack.enter_async_context(open_channel(settings.router_address))
        router = RouterClient(channel, clock)
        bell = Bell(clock)
        log = TokenLog(token_store, bell, router.acknowledge, clock)
        driver = StepDriver(
            store=plan_store,
            log=log,
            router=router,
            clock=clock,
            ring=bell.ring,
            text_of=text_of,
            jitter=Random().random,  # noqa: S311 - spreads retries, hides nothing
        )
        temporal = await connect(settings.temporal_address, settings.temporal_namespace, clock)
        workflows = TemporalWorkflows(temporal, task_queue=settings.temporal_task_queue)
        plans = Plans(store=plan_store, workflows=workflows, router=router, bell=bell, clock=clock, ids=ids)
        watch = Watch(plan_store, log, bell, clock, poll=settings.watch_poll_s)
        planner_pb2_grpc.add_PlannerServiceServicer_to_server(PlannerServicer(plans, watch), server.server)
        server.serve([_NAME])
        activities = PlanActivities(driver, plan_store, bell.ring, clock)

        async def job() -> None:
            worker = plan_worker(
                temporal,
                activities,
                task_queue=settings.temporal_task_queue,
                max_activities=settings.max_running_steps,
            )
            async with background(log.run, router.run, plans.sweep):
                await worker.run()

        yield job


async def main() -> None:
    """Serve until a signal comes."""
    settings = Settings()
    configure_logs("planner", level=settings.log_level)
    telemetry = configure_telemetry("devteam-planner", settings.trace_file)
    clock = SystemClock()
    ids = TimeOrderedIds(clock)
    async with AsyncExitStack() as stack:
        if telemetry is not None:
            stack.callback(telemetry.shutdown)
        server = MeshServer(Listen(settings.host, settings.port, insecure=settings.insecure), ids)
        job = await stack.enter_async_context(mounted(server, settings, clock, ids))
        await server.start()
        stack.push_async_callback(server.stop)
        await stack.enter_async_context(background(job))
        await stop_signal()


def run() -> None:
    """Be the Planner's process."""
    asyncio.run(main())


async def _stores(stack: AsyncExitStack, url: str) -> tuple[PlanStore, TokenStore]:
    if url == "memory":
        return MemoryPlanStore(), MemoryTokenStore()
    database = await open_database(url, MIGRATIONS)
    stack.push_async_callback(database.close)
    return SqlPlanStore(database), SqlTokenStore(database)
