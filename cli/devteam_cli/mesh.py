"""A whole mesh on this machine: Temporal, the three services on one port, and local workers."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from devteam.keys import Role
from devteam.mesh.access.gate import gate_of
from devteam.mesh.address import is_loopback, reachable
from devteam.mesh.clock import SystemClock
from devteam.mesh.errors import Unavailable
from devteam.mesh.exposure import remind
from devteam.mesh.ids import TimeOrderedIds
from devteam.mesh.metrics.loop_lag import watch_loop
from devteam.mesh.metrics.process import process_metrics
from devteam.mesh.pem import PemFiles
from devteam.mesh.server import Listen, MeshServer
from devteam.mesh.spans.collector import collecting
from devteam.mesh.spans.turns import Turns
from devteam.mesh.tasks import background
from devteam.mesh.telemetry import span_file
from devteam.mesh.tls import TlsFiles
from devteam_cli import predecessors
from devteam_cli.data_folder import DataFolder
from devteam_cli.local_workers import LocalWorker, LocalWorkers
from devteam_cli.ports import free_port, refuse_taken
from devteam_cli.secured.own_keys import ADMIN, PAGE, OwnKeys
from devteam_cli.temporal_server import TemporalServer, has_predecessor, temporal_dev_server

METRICS_PORT = 7490
_TEMPORAL_PORT, _UI_PORT = 7233, 8233
# One whose mesh was killed has to find out that nobody hears its last words.
_WORKER_END_TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class MeshPlan:
    """What to start. `temporal` is the address of a server that runs already; empty: start one.

    `metrics_port` is where to serve /metrics, and nowhere else; None: the usual port if it is free, 0: not at all.
    `keys`: every caller is asked for one. `has_gateway`: some call through a gateway on this machine, and are told
    apart by what it says of them.
    """

    listen: Listen
    workers: Sequence[LocalWorker] = ()
    ui: bool = True
    temporal: str = ""
    metrics_port: int | None = None
    keys: bool = False
    has_gateway: bool = False


@dataclass(slots=True)
class Mesh:
    """A mesh that runs: its addresses (of Temporal's page and of metrics: if any), and what its workers said first."""

    url: str
    temporal: str
    ui_url: str
    metrics_url: str = ""
    # Who signed its certificate; None: it speaks plain text.
    ca: Path | None = None
    # What the page shows to it; None: as the environment says.
    page_key: str | None = field(default=None, repr=False)
    # The file of a key that may do everything; None: it asks for none.
    admin_key: Path | None = None
    worker_words: list[str] = field(default_factory=list)

    @property
    def simulated(self) -> bool:
        """Whether a worker has no model provider and simulates its answers."""
        return any("simulated" in words for words in self.worker_words)


@asynccontextmanager
async def running_mesh(plan: MeshPlan, data: DataFolder, progress: Callable[[str], None]) -> AsyncIterator[Mesh]:
    """Run a mesh for as long as the block runs; it is ready for work when the block begins.

    Raises FailedPrecondition with what to do when a part cannot be started.
    """
    if plan.listen.port:
        # Local workers dial before anybody listens: a mesh that is there already would take them for its own.
        refuse_taken("the mesh", reachable(plan.listen.host), plan.listen.port, "--port")
    port = plan.listen.port or free_port()
    scheme = "https" if plan.listen.tls else "http"
    mesh = Mesh(
        f"{scheme}://{reachable(plan.listen.host)}:{port}",
        plan.temporal,
        "",
        ca=plan.listen.tls.ca if plan.listen.tls else None,
    )
    if plan.listen.tls is not None:
        # Before anything is started that would have to be stopped again.
        PemFiles(plan.listen.tls).read()
    ids = [worker.id for worker in plan.workers]
    await predecessors.gone(ids, data.path, progress, SystemClock(), timeout=_WORKER_END_TIMEOUT)
    workers = LocalWorkers(plan.workers, mesh.url, mesh.ca, data, progress)
    async with AsyncExitStack() as stack:
        if not plan.keys:
            # First what takes longest to come up by itself: workers dial until somebody answers.
            await workers.start(stack, {})
        if not plan.temporal:
            progress(f"starting Temporal{', once the one before has ended' if has_predecessor(data.path) else ''}")
            temporal = await _start_temporal(stack, mesh, data, plan)
            await stack.enter_async_context(background(partial(_outlive, temporal, data.log_of("temporal"))))
        progress("starting registry, router and planner")
        await _start_metrics(stack, mesh, plan)
        await stack.enter_async_context(_services(mesh, data, replace(plan, listen=replace(plan.listen, port=port))))
        if plan.keys:
            # Only the Registry makes keys, and the first start has none.
            await workers.start(stack, await _keys(mesh, data, ids))
        workers.stop_before(stack)
        progress("waiting for local workers")
        mesh.worker_words += await workers.registered()
        await workers.watch(stack)
        yield mesh


async def _keys(mesh: Mesh, data: DataFolder, worker_ids: Sequence[str]) -> dict[str, str]:
    """Have a key for whoever works on this machine; those of the workers."""
    own = OwnKeys(data.keys)
    await own.key(mesh.url, mesh.ca, ADMIN, Role.ADMIN)
    mesh.admin_key = own.file(ADMIN)
    mesh.page_key = await own.key(mesh.url, mesh.ca, PAGE, Role.OPERATOR)
    return {
        worker: await own.key(mesh.url, mesh.ca, f"worker-{worker}", Role.WORKER, worker_id=worker)
        for worker in worker_ids
    }


async def _start_temporal(stack: AsyncExitStack, mesh: Mesh, data: DataFolder, plan: MeshPlan) -> TemporalServer:
    # Meshes that take any port may start side by side: they must not meet at Temporal's well-known ones.
    port, ui_port = (_TEMPORAL_PORT, _UI_PORT) if plan.listen.port else (0, 0)
    temporal = await stack.enter_async_context(
        temporal_dev_server(
            data.path,
            port=free_port(port),
            ui_port=free_port(ui_port) if plan.ui else None,
            log=data.log_of("temporal"),
        )
    )
    mesh.temporal, mesh.ui_url = temporal.address, temporal.ui_url
    return temporal


def here_unless_meant(listen: Listen) -> str:
    """Where to serve what knows neither TLS nor keys: beyond this machine only if that was said on purpose."""
    return listen.host if listen.insecure or is_loopback(listen.host) else "127.0.0.1"


async def _start_metrics(stack: AsyncExitStack, mesh: Mesh, plan: MeshPlan) -> None:
    host, wanted = here_unless_meant(plan.listen), plan.metrics_port
    if wanted is None:
        # As with Temporal's ports; a port that was asked for is taken as it is, or refused.
        wanted = free_port(METRICS_PORT if plan.listen.port else 0)
    port = await stack.enter_async_context(process_metrics("devteam", host, wanted or None))
    mesh.metrics_url = f"http://{reachable(host)}:{port}/metrics" if port else ""


async def _outlive(temporal: TemporalServer, log: Path) -> None:
    """Wait for Temporal to die, which it does not do by itself: without it no plan gets on."""
    code = await temporal.exited()
    raise Unavailable(f"Temporal ended with code {code}, see {log}; start again: nothing that was accepted is lost")


@asynccontextmanager
async def _services(mesh: Mesh, data: DataFolder, plan: MeshPlan) -> AsyncIterator[None]:
    # Seconds of importing, while Temporal and the workers come up on the other cores.
    from devteam_planner import app as planner
    from devteam_planner.settings import Settings as PlannerSettings
    from devteam_registry import app as registry
    from devteam_registry.settings import Settings as RegistrySettings
    from devteam_router import app as router
    from devteam_router.settings import Settings as RouterSettings

    clock = SystemClock()
    ids = TimeOrderedIds(clock)
    tls = plan.listen.tls or TlsFiles()
    # The Registry fills the keyring of the one server that there is: nobody has to follow it.
    shared = {"trace_file": data.traces, "tls_ca_file": tls.ca, "keys": False, **_mesh_key(plan, data)}
    of_planner = PlannerSettings(
        database_url=data.database("planner"), router_address=mesh.url, temporal_address=mesh.temporal, **shared
    )
    of_registry = RegistrySettings(database_url=data.database("registry"), **{**shared, **_asking(plan, data)})
    of_router = RouterSettings(registry_address=mesh.url, **shared)
    gate = gate_of(of_registry, clock)
    server = MeshServer(plan.listen, ids, gate.authorizer, gate.keyring, gate.limits, gate.audit)
    async with (
        _collected(server, data, gate.turns),
        registry.mounted(server, of_registry, clock, ids) as registry_job,
        router.mounted(server, of_router, clock, ids) as router_job,
        planner.mounted(server, of_planner, clock, ids) as planner_job,
    ):
        await server.start()
        reminder = partial(remind, plan.listen.host, server.lacks, clock)
        async with background(registry_job, router_job, planner_job, partial(watch_loop, clock), reminder):
            try:
                yield
            finally:
                await server.stop()


def _mesh_key(plan: MeshPlan, data: DataFolder) -> dict[str, Any]:
    return {"mesh_key_file": OwnKeys(data.keys).mesh_key(), "mesh_key": ""} if plan.keys else {}


def _asking(plan: MeshPlan, data: DataFolder) -> dict[str, Any]:
    """What the gate of a mesh is told that asks for keys."""
    if not plan.keys:
        return {}
    # A gateway calls from the address that it finds the mesh at.
    through = ["127.0.0.0/8", "::1", *_address_of(plan.listen.host)] if plan.has_gateway else []
    return {"keys": True, "audit_file": data.path / "audit.log", "trusted_proxies": through}


def _address_of(host: str) -> list[str]:
    try:
        return [] if ip_address(host).is_unspecified else [host]
    except ValueError:
        return []


@asynccontextmanager
async def _collected(server: MeshServer, data: DataFolder, turns: Turns) -> AsyncIterator[None]:
    with collecting(server, span_file(data.traces), turns):
        yield
