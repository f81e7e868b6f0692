"""The Planner's composition root."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from random import Random

import grpc

from devteam.mesh.access.following import Following, followed
from devteam.mesh.access.mesh_key import mesh_key_of
from devteam.mesh.channel import open_channel
from devteam.mesh.clock import Clock
from devteam.mesh.database import Database, open_database
from devteam.mesh.database_footing import database_footing
from devteam.mesh.ids import Ids
from devteam.mesh.metrics.readings import readable
from devteam.mesh.process import whole
from devteam.mesh.redaction import keep_hidden
from devteam.mesh.server import MeshServer
from devteam.mesh.service import run_service
from devteam.mesh.settings import variable
from devteam.mesh.standing import Footing, OwnStanding, traces_go
from devteam.mesh.tasks import background
from devteam.mesh.usage import answer
from devteam.v1 import planner_pb2, planner_pb2_grpc
from devteam_planner import meters, tally
from devteam_planner.activities import PlanActivities
from devteam_planner.admission import Admission, Bounds
from devteam_planner.bell import Bell
from devteam_planner.cipher import Cipher
from devteam_planner.convert.tokens import joined, text_of
from devteam_planner.departures import Departures
from devteam_planner.encryption_keys import read_keys
from devteam_planner.erasure import Erasure, ErasureStore, Retention
from devteam_planner.feed import Feed
from devteam_planner.onlookers import Onlookers
from devteam_planner.overview import Overview
from devteam_planner.packing import Packer
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
_Job = Callable[[], Awaitable[None]]


@asynccontextmanager
async def mounted(server: MeshServer, settings: Settings, clock: Clock, ids: Ids) -> AsyncIterator[_Job]:
    """Mount the Planner on a server; yields its background job, to be run once the server is up.

    Serves without Temporal, and starts what was accepted once Temporal answers. Raises Unavailable when the database
    cannot be opened.
    """
    async with AsyncExitStack() as stack:
        stores = await stack.enter_async_context(
            opened_stores(settings.database_url, _cipher(settings), may_migrate=settings.migrate_at_start)
        )
        mesh_key = mesh_key_of(settings)
        router = Routers(await _channels(stack, settings, mesh_key), clock)
        following = await _following(stack, server, settings, mesh_key, clock)
        office = _Office(settings, stores, router, clock, ids)
        office.serve(server, following.footings)
        execute = _execution(settings, office.workflows, office.activities, clock)
        jobs = [*office.jobs(), following.run, *office.upkeep(server)]

        async def job() -> None:
            async with background(*jobs):
                await execute()

        tally.begin()
        await tally.recall(stores.overview, clock)
        stack.enter_context(readable(partial(meters.read, office.log, office.bell)))
        yield job


def run() -> None:
    """Be the Planner's process."""
    answer("planner", "Takes the tasks and plans of a mesh, and sees to it that each comes to its end.", Settings)
    whole(partial(run_service, "planner", Settings, mounted))


@dataclass(frozen=True, slots=True)
class Stores:
    """What the Planner remembers with; `database` is None where that is nothing but memory."""

    plans: PlanStore
    tokens: TokenStore
    overview: Overview
    erasures: ErasureStore
    database: Database | None = None


@asynccontextmanager
async def opened_stores(url: str, cipher: Cipher | None = None, *, may_migrate: bool = True) -> AsyncIterator[Stores]:
    """The stores at a database URL, or "memory". Raises Unavailable when it cannot be opened."""
    if url == "memory":
        plans = MemoryPlanStore()
        tokens = MemoryTokenStore(plans)
        yield Stores(plans, tokens, MemoryOverview(plans, tokens), MemoryErasures(plans, tokens))
        return
    database = await open_database(url, MIGRATIONS, may_migrate=may_migrate)
    try:
        yield Stores(
            SqlPlanStore(database, cipher),
            SqlTokenStore(database, cipher),
            SqlOverview(database, cipher),
            SqlErasures(database),
            database,
        )
    finally:
        await database.close()


class _Office:
    """What takes plans and carries them out, put together on its stores."""

    def __init__(self, settings: Settings, stores: Stores, router: Routers, clock: Clock, ids: Ids) -> None:
        self._settings = settings
        self._stores = stores
        self._router = router
        self._clock = clock
        self.bell = bell = Bell(clock)
        self.log = log = TokenLog(stores.tokens, bell, router.acknowledge, clock)
        queue, takeover = settings.temporal_task_queue, settings.takeover_s
        self.workflows = workflows = TemporalWorkflows(task_queue=queue, takeover=takeover)
        self._plans = plans = _plans(stores.plans, settings, workflows, router, bell, clock, ids)
        self._feed = Feed(stores.overview, bell, clock, poll=settings.watch_poll_s)
        self._watch = Watch(stores.plans, log, bell, clock, poll=settings.watch_poll_s)
        cancel = plans.cancel_plan
        self._departures = Departures(cancel, clock)
        self._erasure = Erasure(stores.erasures, stores.plans, workflows, clock, cancel=cancel, ring=bell.ring)
        self._packer = Packer(stores.tokens, stores.overview, clock, join=joined, lag=log.lag)
        driver = _driver(stores.plans, log, router, bell, self._packer, clock)
        self.activities = PlanActivities(driver, stores.plans, bell.ring, clock)

    def serve(self, server: MeshServer, beside: Sequence[Footing]) -> None:
        """Answer the Planner's calls on this server, which stands on what is `beside` too."""
        footings = [*self._footings(), *beside]
        standing = OwnStanding("planner", self._clock, lambda: footings, traces=traces_go(self._settings.trace_file))
        onlookers = Onlookers(self._feed, self._clock)
        servicer = PlannerServicer(self._plans, self._watch, onlookers, self._departures, standing, self._erasure)
        planner_pb2_grpc.add_PlannerServiceServicer_to_server(servicer, server.server)
        server.serve([_NAME], self._departures.close)

    def jobs(self) -> Sequence[_Job]:
        """What the work needs, for ever."""
        plans, feed = self._plans, self._feed
        return (self.log.run, self._router.run, plans.sweep, self._departures.run, feed.run, self._packer.run)

    def upkeep(self, server: MeshServer) -> Iterator[_Job]:
        """What its stores need, for ever, as far as they do."""
        if self._settings.retention_days:
            yield Retention(self._erasure, timedelta(days=self._settings.retention_days), self._clock).run
        if self._stores.database is not None:
            yield StoreHealth(self._stores.database, partial(server.announce, [_NAME]), self._clock).run

    def _footings(self) -> Sequence[Footing]:
        database = database_footing(self._settings.database_url, self._stores.database, self._clock)
        temporal = Footing("temporal", self._settings.temporal_address, self._clock, self.workflows.trouble)
        return [database, temporal, *self._router.footings()]


def _plans(
    store: PlanStore,
    settings: Settings,
    workflows: TemporalWorkflows,
    router: Routers,
    bell: Bell,
    clock: Clock,
    ids: Ids,
) -> Plans:
    bounds = Bounds(settings.max_open_per_queue, settings.max_open_per_tenant)
    admission = Admission(
        store,
        bounds,
        clock,
        jitter=Random().random,  # noqa: S311 - spreads retries, hides nothing
    )
    return Plans(store=store, admission=admission, workflows=workflows, router=router, bell=bell, clock=clock, ids=ids)


def _driver(store: PlanStore, log: TokenLog, router: Routers, bell: Bell, packer: Packer, clock: Clock) -> StepDriver:
    return StepDriver(
        store=store,
        log=log,
        router=router,
        clock=clock,
        ring=bell.ring,
        text_of=text_of,
        jitter=Random().random,  # noqa: S311 - spreads retries, hides nothing
        on_ended=packer.ended,
    )


def _execution(
    settings: Settings, workflows: TemporalWorkflows, activities: PlanActivities, clock: Clock
) -> Callable[[], Awaitable[None]]:
    """What carries plans out once Temporal answers. Raises InvalidInput for files of its login that cannot be used."""
    # Before anything runs: files that cannot be read are refused at the start.
    temporal_key = settings.temporal_api_key.get_secret_value()
    keep_hidden(temporal_key)
    login = Login.read(settings.temporal_tls_files, temporal_key)

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

    return execute


async def _channels(stack: AsyncExitStack, settings: Settings, mesh_key: str) -> dict[str, grpc.aio.Channel]:
    """One to each Router."""
    return {
        address: await stack.enter_async_context(open_channel(address, api_key=mesh_key, tls=settings.outward_tls))
        for address in settings.router_addresses
    }


async def _following(
    stack: AsyncExitStack, server: MeshServer, settings: Settings, mesh_key: str, clock: Clock
) -> Following:
    if not settings.keys or settings.registry_address is None:
        return Following()
    channel = await stack.enter_async_context(
        open_channel(settings.registry_address, api_key=mesh_key, tls=settings.outward_tls, eager=True)
    )
    return followed(server.keyring, channel, settings.registry_address, clock)


def _cipher(settings: Settings) -> Cipher:
    if settings.encryption_keys_file is None:
        return Cipher()
    return read_keys(settings.encryption_keys_file, setting=variable(PREFIX, "encryption_keys_file")).cipher()
