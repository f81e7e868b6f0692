"""The Planner's composition root."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from random import Random

from devteam.mesh.access.following import Following, followed
from devteam.mesh.access.mesh_key import mesh_key_of
from devteam.mesh.channel import open_channel
from devteam.mesh.clock import Clock
from devteam.mesh.database import Database, open_database
from devteam.mesh.database_footing import database_footing
from devteam.mesh.ids import Ids
from devteam.mesh.metrics.readings import readable
from devteam.mesh.process import leave
from devteam.mesh.server import MeshServer
from devteam.mesh.service import run_service
from devteam.mesh.settings import variable
from devteam.mesh.standing import Footing, OwnStanding, traces_go
from devteam.mesh.tasks import background
from devteam.v1 import planner_pb2, planner_pb2_grpc
from devteam_planner import meters, tally
from devteam_planner.activities import PlanActivities
from devteam_planner.admission import Admission, Bounds
from devteam_planner.bell import Bell
from devteam_planner.cipher import Cipher
from devteam_planner.convert.tokens import text_of
from devteam_planner.departures import Departures
from devteam_planner.encryption_keys import read_keys
from devteam_planner.erasure import Erasure, ErasureStore, Retention
from devteam_planner.feed import Feed
from devteam_planner.onlookers import Onlookers
from devteam_planner.overview import Overview
from devteam_planner.plans import Plans
from devteam_planner.ports import PlanStore, TokenStore
from devteam_planner.router_client.routers import Routers
from devteam_planner.servicer import PlannerServicer
from devteam_planner.settings import PREFIX, Settings
from devteam_planner.step_driver import StepDriver
from devteam_planner.store.memory import MemoryPlanStore, MemoryTokenStore
from devteam_planner.store.memory_erasure import MemoryErasures
from devteam_planner.store.memory_overview import MemoryOverview
from devteam_planner.store.sql_erasure import SqlErasures
from devteam_planner.store.sql_overview import SqlOverview
from devteam_planner.store.sql_plans import SqlPlanStore
from devteam_planner.store.sql_tokens import SqlTokenStore
from devteam_planner.store.tables import MIGRATIONS
from devteam_planner.store_health import StoreHealth
from devteam_planner.temporal import Login, TemporalWorkflows, connect, plan_worker, work
from devteam_planner.token_log import TokenLog
from devteam_planner.watch import Watch

_NAME = planner_pb2.DESCRIPTOR.services_by_name["PlannerService"].full_name


@asynccontextmanager
async def mounted(
    server: MeshServer, settings: Settings, clock: Clock, ids: Ids
) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Mount the Planner on a server; yields its background job, to be run once the server is up.

    Serves without Temporal, and starts what was accepted once Temporal answers. Raises Unavailable when the database
    cannot be opened.
    """
    async with AsyncExitStack() as stack:
        plan_store, token_store, overview, database = await _stores(
            stack, settings.database_url, _cipher(settings), may_migrate=settings.migrate_at_start
        )
        mesh_key = mesh_key_of(settings)
        channels = {
            address: await stack.enter_async_context(open_channel(address, api_key=mesh_key, tls=settings.outward_tls))
            for address in settings.router_addresses
        }
        following = await _following(stack, server, settings, mesh_key, clock)
        router = Routers(channels, clock)
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
        workflows = TemporalWorkflows(task_queue=settings.temporal_task_queue)
        admission = Admission(
            plan_store,
            Bounds(settings.max_open_per_queue, settings.max_open_per_tenant),
            clock,
            jitter=Random().random,  # noqa: S311 - spreads retries, hides nothing
        )
        plans = Plans(
            store=plan_store,
            admission=admission,
            workflows=workflows,
            router=router,
            bell=bell,
            clock=clock,
            ids=ids,
        )
        watch = Watch(plan_store, log, bell, clock, poll=settings.watch_poll_s)
        feed = Feed(overview, bell, clock, poll=settings.watch_poll_s)
        departures = Departures(plans.cancel_plan, clock)
        footings = [
            database_footing(settings.database_url, database, clock),
            Footing("temporal", settings.temporal_address, clock, workflows.trouble),
            *router.footings(),
            *following.footings,
        ]
        standing = OwnStanding("planner", clock, lambda: footings, traces=traces_go(settings.trace_file))
        erasure = Erasure(
            _erasures(plan_store, token_store, database),
            plan_store,
            workflows,
            clock,
            cancel=plans.cancel_plan,
            ring=bell.ring,
        )
        servicer = PlannerServicer(plans, watch, Onlookers(feed, clock), departures, standing, erasure)
        planner_pb2_grpc.add_PlannerServiceServicer_to_server(servicer, server.server)
        server.serve([_NAME], departures.close)
        # Before anything runs: files that cannot be read are refused at the start.
        login = Login.read(settings.temporal_tls_files, settings.temporal_api_key.get_secret_value())
        activities = PlanActivities(driver, plan_store, bell.ring, clock)

        async def execute() -> None:
            temporal = await connect(settings.temporal_address, settings.temporal_namespace, clock, login)
            workflows.use(temporal)
            worker = partial(
                plan_worker,
                temporal,
                activities,
                task_queue=settings.temporal_task_queue,
                max_activities=settings.max_running_steps,
            )
            await work(lambda: workflows.served_by(worker()), clock)

        jobs = [log.run, router.run, plans.sweep, departures.run, feed.run, following.run]
        if settings.retention_days:
            jobs.append(Retention(erasure, timedelta(days=settings.retention_days), clock).run)
        if database is not None:
            jobs.append(StoreHealth(database, partial(server.announce, [_NAME]), clock).run)

        async def job() -> None:
            async with background(*jobs):
                await execute()

        tally.begin()
        stack.enter_context(readable(partial(meters.read, log, bell)))
        yield job


def run() -> None:
    """Be the Planner's process."""
    try:
        run_service("planner", Settings, mounted)
    except SystemExit as ended:
        leave(ended)
    leave(SystemExit(0))


async def _following(
    stack: AsyncExitStack, server: MeshServer, settings: Settings, mesh_key: str, clock: Clock
) -> Following:
    if not settings.keys or settings.registry_address is None:
        return Following()
    channel = await stack.enter_async_context(
        open_channel(settings.registry_address, api_key=mesh_key, tls=settings.outward_tls)
    )
    return followed(server.keyring, channel, settings.registry_address, clock)


def _cipher(settings: Settings) -> Cipher:
    if settings.encryption_keys_file is None:
        return Cipher()
    return read_keys(settings.encryption_keys_file, setting=variable(PREFIX, "encryption_keys_file")).cipher()


async def _stores(
    stack: AsyncExitStack, url: str, cipher: Cipher | None = None, *, may_migrate: bool = True
) -> tuple[PlanStore, TokenStore, Overview, Database | None]:
    if url == "memory":
        plans = MemoryPlanStore()
        tokens = MemoryTokenStore(plans)
        return plans, tokens, MemoryOverview(plans, tokens), None
    database = await open_database(url, MIGRATIONS, may_migrate=may_migrate)
    stack.push_async_callback(database.close)
    return SqlPlanStore(database, cipher), SqlTokenStore(database, cipher), SqlOverview(database, cipher), database


def _erasures(plans: PlanStore, tokens: TokenStore, database: Database | None) -> ErasureStore:
    if database is not None:
        return SqlErasures(database)
    assert isinstance(plans, MemoryPlanStore)
    assert isinstance(tokens, MemoryTokenStore)
    return MemoryErasures(plans, tokens)
