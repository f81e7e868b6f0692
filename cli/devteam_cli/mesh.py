"""A whole mesh on this machine: Temporal, the three services on one port, and local workers."""

import asyncio
import os
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from devteam.mesh.address import is_loopback, reachable
from devteam.mesh.clock import SystemClock
from devteam.mesh.errors import FailedPrecondition, Unavailable
from devteam.mesh.exposure import remind
from devteam.mesh.ids import TimeOrderedIds
from devteam.mesh.metrics.loop_lag import watch_loop
from devteam.mesh.metrics.process import process_metrics
from devteam.mesh.pem import PemFiles
from devteam.mesh.server import Listen, MeshServer
from devteam.mesh.spans.collector import collecting
from devteam.mesh.tasks import background
from devteam.mesh.telemetry import span_file
from devteam.mesh.tls import CA_FILE, TlsFiles
from devteam_cli import predecessors
from devteam_cli.children import child, lines, stop
from devteam_cli.data_folder import DataFolder
from devteam_cli.ports import free_port
from devteam_cli.temporal_server import TemporalServer, temporal_dev_server

METRICS_PORT = 7490
_TEMPORAL_PORT, _UI_PORT = 7233, 8233
# A local worker hands back what it cannot finish so soon; the next start goes on with it.
_WORKER_DRAIN_SECONDS = 2.0
_WORKER_STOP_TIMEOUT = 15.0
_WORKER_START_TIMEOUT = 60.0
# One whose mesh was killed has to find out that nobody hears its last words.
_WORKER_END_TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class LocalWorker:
    """A worker to run beside the mesh."""

    id: str
    queues: Sequence[str]
    concurrency: int = 4
    arguments: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class MeshPlan:
    """What to start. `temporal` is the address of a server that runs already; empty: start one.

    `metrics_port` is where to serve /metrics, and nowhere else; None: the usual port if it is free, 0: not at all.
    """

    listen: Listen
    workers: Sequence[LocalWorker] = ()
    ui: bool = True
    temporal: str = ""
    metrics_port: int | None = None


@dataclass(slots=True)
class Mesh:
    """A mesh that runs: its addresses (of Temporal's page and of metrics: if any), and what its workers said first."""

    url: str
    temporal: str
    ui_url: str
    metrics_url: str = ""
    # Who signed its certificate; None: it speaks plain text.
    ca: Path | None = None
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
    async with AsyncExitStack() as stack:
        # First what takes longest to come up by itself: workers dial until somebody answers.
        workers = [
            await stack.enter_async_context(_spawned(worker, mesh, data, plan.listen)) for worker in plan.workers
        ]
        if not plan.temporal:
            progress("starting Temporal")
            temporal = await _start_temporal(stack, mesh, data, plan)
            await stack.enter_async_context(background(partial(_outlive, temporal, data.log_of("temporal"))))
        progress("starting registry, router and planner")
        await _start_metrics(stack, mesh, plan)
        await stack.enter_async_context(_services(mesh, data, replace(plan.listen, port=port)))
        for process in workers:
            # Before the services: a worker that stops has something to say to them.
            stack.push_async_callback(stop, process, _WORKER_STOP_TIMEOUT)
        progress("waiting for local workers")
        mesh.worker_words += await asyncio.gather(
            *(
                _registered(process, data.log_of(worker.id))
                for process, worker in zip(workers, plan.workers, strict=True)
            )
        )
        for process, worker in zip(workers, plan.workers, strict=True):
            missed = partial(_missed, process, worker, f"see {data.log_of(worker.id)}", mesh.url, progress)
            await stack.enter_async_context(background(missed))
        yield mesh


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


async def _missed(process: Process, worker: LocalWorker, where: str, url: str, progress: Callable[[str], None]) -> None:
    """Wait for a worker to end before the mesh does, and say so: the mesh goes on, and others can do its work."""
    code = await process.wait()
    queues = "".join(f" --queue {queue}" for queue in worker.queues)
    progress(
        f"worker {worker.id} ended with code {code}, {where}; "
        f"start another: devteam-worker start --api-url {url}{queues}"
    )


@asynccontextmanager
async def _services(mesh: Mesh, data: DataFolder, listen: Listen) -> AsyncIterator[None]:
    # Seconds of importing, while Temporal and the workers come up on the other cores.
    from devteam_planner import app as planner
    from devteam_planner.settings import Settings as PlannerSettings
    from devteam_registry import app as registry
    from devteam_registry.settings import Settings as RegistrySettings
    from devteam_router import app as router
    from devteam_router.settings import Settings as RouterSettings

    clock = SystemClock()
    ids = TimeOrderedIds(clock)
    server = MeshServer(listen, ids)
    tls = listen.tls or TlsFiles()
    of_planner = PlannerSettings(
        database_url=data.database("planner"),
        router_address=mesh.url,
        temporal_address=mesh.temporal,
        trace_file=data.traces,
        tls_ca_file=tls.ca,
    )
    of_registry = RegistrySettings(database_url=data.database("registry"), trace_file=data.traces)
    of_router = RouterSettings(registry_address=mesh.url, trace_file=data.traces, tls_ca_file=tls.ca)
    async with (
        _collected(server, data),
        registry.mounted(server, of_registry, clock, ids) as registry_job,
        router.mounted(server, of_router, clock, ids) as router_job,
        planner.mounted(server, of_planner, clock, ids) as planner_job,
    ):
        await server.start()
        reminder = partial(remind, listen.host, server.lacks, clock)
        async with background(registry_job, router_job, planner_job, partial(watch_loop, clock), reminder):
            try:
                yield
            finally:
                await server.stop()


@asynccontextmanager
async def _collected(server: MeshServer, data: DataFolder) -> AsyncIterator[None]:
    with collecting(server, span_file(data.traces)):
        yield


def _spawned(worker: LocalWorker, mesh: Mesh, data: DataFolder, listen: Listen) -> AbstractAsyncContextManager[Process]:
    command, log = _worker_command(worker, mesh, data), data.log_of(worker.id)
    return child(command, log, env=_environment(listen), stop_timeout=_WORKER_STOP_TIMEOUT)


async def _registered(process: Process, log: Path) -> str:
    """What a worker said until it was ready for work."""
    words: list[str] = []
    try:
        async with asyncio.timeout(_WORKER_START_TIMEOUT):
            async for line in lines(process):
                if line == "Ready":
                    return "\n".join(words)
                words.append(line)
    except TimeoutError:
        raise Unavailable(f"a worker did not register within {_WORKER_START_TIMEOUT:g} s; see {log}") from None
    raise FailedPrecondition(f"a worker did not start; see {log}")


def _worker_command(worker: LocalWorker, mesh: Mesh, data: DataFolder) -> list[str]:
    queues = [argument for queue in worker.queues for argument in ("--queue", queue)]
    return [
        *(sys.executable, "-m", "devteam_worker", "start", "--of-mesh"),
        *("--id", worker.id, *queues, "--concurrency", str(worker.concurrency)),
        *("--api-url", mesh.url, "--trace-file", str(data.traces)),
        *("--drain-deadline", str(_WORKER_DRAIN_SECONDS), "--data", str(data.path)),
        *worker.arguments,
    ]


def _environment(listen: Listen) -> Mapping[str, str]:
    """The environment of this process, without what would send a local worker elsewhere; it trusts this mesh."""
    kept = {name: value for name, value in os.environ.items() if name not in {"DEVTEAM_API_URL", "DEVTEAM_QUEUE"}}
    return kept if listen.tls is None else kept | {CA_FILE: str(listen.tls.ca)}
