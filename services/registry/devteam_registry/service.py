"""The Registry: what callers may ask of it, and what it does by itself."""

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager

import structlog

from devteam.mesh.clock import Clock
from devteam.mesh.tasks import together
from devteam_registry import owners
from devteam_registry.awake import AwakeTime
from devteam_registry.changes import Changes, seen_by, snapshot_of
from devteam_registry.domain import (
    Beat,
    Change,
    Farewell,
    Orders,
    Page,
    PageQuery,
    Registration,
    Router,
    RouterList,
    Snapshot,
    WishChange,
    WorkerSpec,
    WorkerView,
)
from devteam_registry.health import HealthPolicy
from devteam_registry.journal import Journal
from devteam_registry.links import LinkReport
from devteam_registry.owners import Owner
from devteam_registry.ports import RoutingStore, WorkerStore
from devteam_registry.roster import Census, Roster
from devteam_registry.routers import Routers
from devteam_registry.routing import PolicyChange, QueuePolicy, Routing, RoutingChange
from devteam_registry.sessions import digest_of, new_token
from devteam_registry.steering import Steering

_log = structlog.get_logger()


class Registry:
    """Owner of the truth about workers and operators' wishes. `open` it before use; `run` has to run beside it.

    `bound_to` tells the id of a key that is for a worker alone. For those of one tenant (`whose`; "" is everyone's)
    other tenants' workers do not exist.
    """

    def __init__(
        self,
        store: WorkerStore,
        routing_store: RoutingStore,
        clock: Clock,
        policy: HealthPolicy,
        *,
        watcher_backlog: int = 10_000,
        bound_to: Callable[[str], str] = lambda _: "",
    ) -> None:
        self._store = store
        self._clock = clock
        self._bound_to = bound_to
        self._ends: list[set[str]] = []
        # Judged once a second, or four times a beat when beats are that short.
        self._tick = min(1.0, policy.heartbeat_interval / 4)
        self._changes = Changes[Change](watcher_backlog)
        awake = AwakeTime(clock, self._tick)
        self._roster = Roster(policy, clock, awake, self._changes)
        self._routers = Routers(awake, self._changes)
        self._steering = Steering(routing_store, clock, self._changes)
        self._journal = Journal(store, clock, self._roster.remembered)

    async def open(self) -> None:
        """Take up what the store remembers. Raises Unavailable."""
        self._roster.load(await self._store.load_all())
        await self._steering.open()

    async def close(self) -> None:
        """Write what is still unwritten. Raises Unavailable."""
        try:
            await self._journal.flush()
        finally:
            await self._steering.flush()

    async def run(self) -> None:
        """Judge the silent and write behind, for ever."""
        await together(self._sweep_for_ever, self._journal.run, self._steering.run)

    async def register(self, spec: WorkerSpec, instance_id: str, owner: Owner | None = None) -> Registration:
        """Make a worker known under this instance, and give it a session.

        Raises PermissionDenied for an id that is another key's, and Unavailable.
        """
        token = new_token()
        with self._noting_ends() as ended:
            async with self._journal.turn():
                if owner is not None and owner.credential and not owner.bound and self._bound_to(spec.worker_id):
                    raise owners.taken(spec.worker_id, "that key is for this worker alone; choose another id")
                worker = self._roster.admitted(spec, instance_id, digest_of(token), owner)
                await self._journal.write(spec.worker_id, worker)
                view = self._roster.put(worker)
        if worker.owner.credential in ended:
            self.key_ended(worker.owner.credential)
        _log.info("worker registered", worker_id=spec.worker_id, instance_id=instance_id)
        return Registration(view, token)

    def tenant_of(self, worker_id: str) -> str | None:
        """As `Roster.tenant_of`."""
        return self._roster.tenant_of(worker_id)

    def key_ended(self, key_id: str) -> None:
        """A key was revoked: the ids of its workers may be registered with another one."""
        for ended in self._ends:
            ended.add(key_id)
        self._journal.mark(self._roster.disown(key_id))

    def beat(self, beat: Beat, whose: str = "") -> Orders:
        """Note that a worker is alive. Raises NotFound, Aborted or PermissionDenied."""
        orders = self._roster.beat(beat, whose)
        self._journal.mark([beat.worker_id])
        return orders

    async def deregister(self, farewell: Farewell, whose: str = "") -> None:
        """Take a worker off the list. An operator's farewell also forgets the operator's wishes.

        Raises NotFound, Aborted, PermissionDenied or Unavailable.
        """
        async with self._journal.turn():
            worker = self._roster.leaver(farewell, whose)
            remains = worker.remains() if farewell.session_token else None
            await self._journal.write(farewell.worker_id, remains)
            self._roster.remove(farewell.worker_id, remains, farewell.reason or "deregistered")

    async def update(self, worker_id: str, change: WishChange, whose: str = "") -> WorkerView:
        """Set what an operator wants of a worker. Raises NotFound, PermissionDenied or Unavailable."""
        async with self._journal.turn():
            worker = self._roster.current(worker_id)
            owners.change(worker.owner, whose, worker_id)
            wishes = change.applied_to(worker.wishes, self._clock.now())
            await self._journal.write(worker_id, worker.wishing(wishes))
            return self._roster.wish(worker_id, wishes)

    def report_links(self, report: LinkReport) -> None:
        """Take in what a Router says of workers' streams; whom it does not concern is left as it was."""
        self._routers.heard(report.router_id)
        self._roster.report_links(report)

    @property
    def routing(self) -> Routing:
        """How runs are placed, as operators want it."""
        return self._steering.routing

    def routing_of(self, whose: str) -> Routing:
        """As `routing`, without what concerns other tenants."""
        return self.routing.seen_by(whose) if whose else self.routing

    @property
    def routers(self) -> RouterList:
        """The Routers that are alive and have an address."""
        return self._routers.listed

    @property
    def routers_present(self) -> int:
        """How many Routers watch the fleet now."""
        return self._routers.present

    def census(self) -> Census:
        """As Roster.census."""
        return self._roster.census()

    async def update_routing(self, change: RoutingChange) -> Routing:
        """Change how runs are placed. Raises Unavailable."""
        return await self._steering.change(change)

    async def update_queue(self, change: PolicyChange) -> QueuePolicy:
        """Change how one queue is served. Raises InvalidInput or Unavailable."""
        return (await self._steering.change(change)).policy(change.wanted.name)

    def get(self, worker_id: str, whose: str = "") -> WorkerView:
        """A worker as of now. Raises NotFound."""
        view = self._roster.get(worker_id)
        owners.find(view.worker.owner, whose, worker_id)
        return view

    def page(self, query: PageQuery) -> Page:
        """A page of the list, in the order of ids."""
        return self._roster.page(query)

    async def watch(
        self, router_id: str = "", address: str = "", whose: str = ""
    ) -> AsyncGenerator[Snapshot | Change, None]:
        """Routing, Routers and everyone, then every change; who is no Router is told of every beat, too.

        Raises ResourceExhausted (SLOW_CONSUMER) or, at the end, Unavailable. A Router is alive while it watches; what
        it said of streams holds until `routers.ROUTER_GRACE` after its last watch.
        """
        closely = not router_id
        with (
            self._routers.watching(Router(router_id, address)),
            self._changes.subscribed(lambda change: seen_by(change, whose), closely=closely) as feed,
        ):
            # Taken in the same step as the subscription: nothing falls between the two.
            views = [view for view in self._roster.views() if view.worker.owner.seen_by(whose)]
            beginning: list[Snapshot | Change] = [self.routing_of(whose), self.routers, *snapshot_of(views)]
            for part in beginning:
                yield part
            while True:
                yield await feed.next()

    async def stop_watches(self) -> None:
        """End every watch, so that a stopping server need not wait for them."""
        self._changes.stop()

    @contextmanager
    def _noting_ends(self) -> Iterator[set[str]]:
        """The keys that end meanwhile: a registration may wait for the store, and its worker is not listed yet."""
        ended = set[str]()
        self._ends = [*self._ends, ended]
        try:
            yield ended
        finally:
            self._ends = [other for other in self._ends if other is not ended]

    async def _sweep_for_ever(self) -> None:
        while True:
            await self._clock.sleep(self._tick)
            self._journal.mark(self._roster.sweep())
            for router_id in self._routers.sweep():
                _log.warning("router gone", router_id=router_id)
                self._roster.forget_router(router_id)
