"""A service as a process of its own: from its settings to the end of its drain."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial
from typing import TypeVar

import structlog

from devteam.mesh.access.gate import gate_of
from devteam.mesh.clock import Clock, SystemClock
from devteam.mesh.exposure import remind
from devteam.mesh.ids import Ids, TimeOrderedIds
from devteam.mesh.logs import configure_logs
from devteam.mesh.metrics.loop_lag import watch_loop
from devteam.mesh.metrics.process import process_metrics
from devteam.mesh.process import end_at_next_signal, run
from devteam.mesh.server import Listen, MeshServer
from devteam.mesh.settings import ServiceSettings
from devteam.mesh.spans.collector import collecting
from devteam.mesh.tasks import background, stop_signals
from devteam.mesh.telemetry import configure_telemetry, span_file

_log = structlog.get_logger()

Settings = TypeVar("Settings", bound=ServiceSettings)
Mounted = Callable[[MeshServer, Settings, Clock, Ids], AbstractAsyncContextManager[Callable[[], Awaitable[None]]]]


def run_service(name: str, settings: type[Settings], mounted: Mounted[Settings]) -> None:
    """Be the service `name` until SIGINT or SIGTERM, then drain; a second signal ends the process at once.

    `mounted` puts the service on a server, and yields the job that runs beside it. Raises SystemExit, see `process`.
    """
    run(partial(_serve, name, settings, mounted))


async def _serve(name: str, kind: type[Settings], mounted: Mounted[Settings]) -> None:
    settings = kind()
    configure_logs(name, level=settings.log_level)
    telemetry = configure_telemetry(f"devteam-{name}", settings.trace_file)
    clock = SystemClock()
    ids = TimeOrderedIds(clock)
    gate = gate_of(settings, clock)
    async with AsyncExitStack() as stack:
        if telemetry is not None:
            stack.callback(telemetry.shutdown)
        await stack.enter_async_context(process_metrics(f"devteam-{name}", settings.metrics_at, settings.metrics_port))
        server = MeshServer(_listen(settings), ids, gate.authorizer, gate.keyring, gate.limits, gate.audit)
        stack.enter_context(collecting(server, span_file(settings.trace_file), gate.turns))
        job = await stack.enter_async_context(mounted(server, settings, clock, ids))
        # Whoever reads that it has started may send a signal at once.
        stopped = stack.enter_context(stop_signals())
        await server.start()
        # The job ends after the server: calls that are still answered may need it.
        reminder = partial(remind, settings.host, server.lacks, clock)
        async with background(job, partial(watch_loop, clock), reminder):
            try:
                _log.info("stopping", signal=await stopped)
                end_at_next_signal()
            finally:
                await server.stop()
    _log.info("stopped")


def _listen(settings: ServiceSettings) -> Listen:
    return Listen(
        settings.host,
        settings.port,
        insecure=settings.insecure,
        tls=settings.tls,
        client_certs=settings.tls_client_certs,
    )
