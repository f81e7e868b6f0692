"""`devteam up`: a mesh on this machine, until Ctrl-C."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from devteam.mesh.errors import DevTeamError
from devteam_cli.data_folder import default_path
from devteam_cli.failures import code_of, complain, first_of
from devteam_cli.stderr import say

if TYPE_CHECKING:
    from devteam.mesh.tls import TlsFiles
    from devteam_cli.data_folder import DataFolder
    from devteam_cli.mesh import Mesh, MeshPlan

_PAGE_PORT = 7480


def up(
    *,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen at; 0 takes a free one.")] = 7400,
    data: Annotated[Path | None, typer.Option(help="Folder for state [DEVTEAM_DATA, else ~/.devteam].")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget the state that is there.")] = False,
    queue: Annotated[list[str] | None, typer.Option(help="Queue of the local worker [default].")] = None,
    worker: Annotated[bool, typer.Option(help="Run a local worker.")] = True,
    metrics_port: Annotated[
        int | None, typer.Option(help="Port for /metrics; 0: none [7490, or a free one].", min=0, max=65535)
    ] = None,
    ui: Annotated[bool, typer.Option(help="Serve a web page that shows the mesh, and Temporal's.")] = True,
    secure: Annotated[
        bool, typer.Option("--secure", help="Speak TLS and ask every caller for a key; made at the first start.")
    ] = False,
    name: Annotated[
        list[str] | None, typer.Option(help="A name or address that --secure is reached by; may be repeated.")
    ] = None,
    certs: Annotated[
        Path | None, typer.Option(help="Speak TLS with the files of this folder; see `devteam certs init`.")
    ] = None,
    gateway: Annotated[
        bool, typer.Option("--gateway", help="Start Envoy before it: JSON, gRPC-Web and gRPC at one port.")
    ] = False,
    gateway_port: Annotated[int, typer.Option(help="Port of --gateway; 0 takes a free one.", min=0, max=65535)] = 8080,
    insecure: Annotated[
        bool, typer.Option("--insecure-i-know", help="Listen beyond this machine without what --secure gives.")
    ] = False,
    log_level: Annotated[str, typer.Option(help="DEBUG, INFO, WARNING or ERROR.")] = "INFO",
) -> None:
    """Run registry, router, planner, Temporal and a worker here, until Ctrl-C. State survives a restart."""
    from devteam.mesh.process import collect_rarely
    from devteam.mesh.server import Listen, refuse_exposure
    from devteam_cli.local_workers import LocalWorker
    from devteam_cli.mesh import MeshPlan

    collect_rarely()
    workers = [LocalWorker("local", queue or ["default"])] if worker else []
    temporal = os.environ.get("DEVTEAM_TEMPORAL_ADDRESS", "")
    path = data or default_path()
    try:
        _check_queues(queue or ())
        _refuse_idle_names(name, secure=secure, own=certs)
        listen = Listen(host, port, insecure=insecure, tls=_shown(path, certs, secure=secure))
        refuse_exposure(listen, keys=secure, remedy="say --secure")
        plan = MeshPlan(listen, workers, ui, temporal, metrics_port, keys=secure, has_gateway=gateway)
        door = gateway_port if gateway else None
        names = list(name or ()) if secure and certs is None else None
        asyncio.run(_up(plan, path, door, names, fresh=fresh, log_level=log_level))
    except* DevTeamError as group:
        error = first_of(group)
        complain(error)
        raise typer.Exit(code_of(error)) from None


def _check_queues(queues: Sequence[str]) -> None:
    from devteam.mesh.validation import Violations

    found = Violations()
    for queue in queues:
        found.name("--queue", queue)
    found.raise_if_any()


def _refuse_idle_names(names: list[str] | None, *, secure: bool, own: Path | None) -> None:
    from devteam_cli.certs.command import check_hosts

    check_hosts("name", names or ())
    if names and (own is not None or not secure):
        raise typer.BadParameter("is for the certificate that --secure makes without --certs", param_hint="--name")


def _shown(data: Path, own: Path | None, *, secure: bool) -> "TlsFiles | None":
    """The certificates of the mesh, which need not be there yet; None: plain text."""
    from devteam.mesh.tls import TlsFiles
    from devteam_cli.data_folder import DataFolder

    if own is None and not secure:
        return None
    folder = (own or DataFolder(data).certs).absolute()
    return TlsFiles(folder / "server.pem", folder / "server.key", folder / "ca.pem")


async def _up(
    plan: "MeshPlan", path: Path, door: int | None, names: list[str] | None, *, fresh: bool, log_level: str
) -> None:
    from devteam.mesh.tasks import stop_signal
    from devteam_cli.data_folder import data_folder
    from devteam_cli.mesh import running_mesh
    from devteam_cli.observing import observing
    from devteam_cli.secured.beside import left_for_commands, welcome

    if door is not None:
        from devteam_cli.gateway.beside import refuse_gateway

        refuse_gateway(replace(plan.listen, port=door), keys=plan.keys)
    started = time.monotonic()
    stopped = asyncio.ensure_future(stop_signal())
    with data_folder(path, fresh=fresh) as data, observing(data, log_level):
        async with (
            _certificate(plan, names, data),
            running_mesh(plan, data, say) as mesh,
            _page(plan, mesh) as page_url,
            _gateway(plan, door, mesh, page_url, data) as door_url,
        ):
            with left_for_commands(mesh, data, plan.listen.host, names or ()) as left:
                _announce(mesh, page_url, door_url, path, time.monotonic() - started)
                _close_with(welcome(left, path) if left else _tell_ca(mesh))
                say(f"stopping on {await stopped}")


@asynccontextmanager
async def _certificate(plan: "MeshPlan", names: list[str] | None, data: "DataFolder") -> AsyncIterator[None]:
    """Have one where a mesh makes its own."""
    from devteam_cli.secured.beside import certified

    if names is None:
        yield
        return

    async with certified(data, plan.listen.host, names):
        yield


@asynccontextmanager
async def _page(plan: "MeshPlan", mesh: "Mesh") -> AsyncIterator[str]:
    """The address of the page that shows the mesh; empty where none is wanted."""
    if not plan.ui:
        yield ""
        return
    from devteam.client import DevTeamClient
    from devteam.mesh.server import Listen
    from devteam_cli.mesh import here_unless_meant
    from devteam_cli.page.app import PagePlan, page
    from devteam_cli.ports import free_port

    # Meshes that take any port may run side by side: they must not meet at the page's well-known one.
    port = free_port(_PAGE_PORT) if plan.listen.port else 0
    listen = Listen(here_unless_meant(plan.listen), port, insecure=plan.listen.insecure)
    async with (
        DevTeamClient(mesh.url, api_key=mesh.page_key, ca_file=mesh.ca) as client,
        page(PagePlan(listen, temporal_ui=mesh.ui_url), client) as url,
    ):
        yield url


@asynccontextmanager
async def _gateway(
    plan: "MeshPlan", port: int | None, mesh: "Mesh", page_url: str, data: "DataFolder"
) -> AsyncIterator[str]:
    """The address of the front door; empty where none is wanted."""
    if port is None:
        yield ""
        return
    from devteam_cli.gateway.beside import gateway_beside

    async with gateway_beside(replace(plan.listen, port=port), mesh.url, page_url, data, keys=plan.keys) as url:
        yield url


def _announce(mesh: "Mesh", page_url: str, door_url: str, path: Path, seconds: float) -> None:
    print(f"Ready in {seconds:.1f} s: {mesh.url}", flush=True)  # noqa: T201 - the command's output
    if door_url:
        print(f"Gateway: {door_url} (gRPC, gRPC-Web and JSON)")  # noqa: T201 - the command's output
    if page_url:
        print(f"Page: {page_url}")  # noqa: T201 - the command's output
    if mesh.ui_url:
        print(f"Temporal UI: {mesh.ui_url}")  # noqa: T201 - the command's output
    if mesh.metrics_url:
        print(f"Metrics: {mesh.metrics_url}")  # noqa: T201 - the command's output
    print(f"Data, logs and traces: {path}")  # noqa: T201 - the command's output
    for words in mesh.worker_words:
        print(words)  # noqa: T201 - the command's output


def _tell_ca(mesh: "Mesh") -> Iterator[str]:
    if mesh.ca is not None:
        yield f"First: export DEVTEAM_API_URL={mesh.url} DEVTEAM_CA_FILE={mesh.ca}"


def _close_with(lines: Iterable[str]) -> None:
    for line in (*lines, 'Try: devteam task run --model sonnet "Say hello"   (Ctrl-C stops the mesh)'):
        print(line)  # noqa: T201 - the command's output
    sys.stdout.flush()
