"""The devteam-worker command."""

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from devteam_worker import config_commands, join_command, log_commands, owner_commands, service_commands
from devteam_worker.command_line import Data, file_of, presences_in, seconds_of, write
from devteam_worker.data_folder import folder
from devteam_worker.doctor.command import doctor

if TYPE_CHECKING:
    from devteam_worker.app import Owner
    from devteam_worker.presence import OwnPresence
    from devteam_worker.settings import WorkerSettings

app = typer.Typer(
    name="devteam-worker",
    help="Runs tasks of a DevTeam mesh on this machine.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.command()(join_command.join)


def _tell_version(asked: bool) -> None:  # noqa: FBT001 - typer calls it so
    if asked:
        from devteam.mesh.version import version

        write(version())
        raise typer.Exit


@app.callback()
def main(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Say which version this is.", callback=_tell_version, is_eager=True)
    ] = False,
) -> None:
    """Runs tasks of a DevTeam mesh on this machine."""


def _filled(given: "str | list[str] | None") -> "str | list[str] | None":
    """Refuse an option that says nothing, such as the "" of a shell's unset variable: left out, it has a default."""
    texts = [given] if isinstance(given, str) else given or []
    if not all(text.strip() for text in texts):
        raise typer.BadParameter("must not be empty")
    return given


@app.command()
def start(
    config: Annotated[Path | None, typer.Option(help="Worker file (YAML).", exists=True, dir_okay=False)] = None,
    queue: Annotated[
        list[str] | None, typer.Option(help="Queue to serve; repeat for several.", callback=_filled)
    ] = None,
    concurrency: Annotated[int | None, typer.Option(help="Runs at a time.", min=1, max=10_000)] = None,
    weight: Annotated[
        float | None, typer.Option(help="What a run counts for here: 4 where it takes a quarter of the usual time.")
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="Model pattern to serve, e.g. opus or 'ollama:*'.", callback=_filled)
    ] = None,
    provider: Annotated[
        str | None, typer.Option(help="auto, anthropic, ollama, openai or sim.", callback=_filled)
    ] = None,
    api_url: Annotated[
        str | None, typer.Option(help="Address of the mesh [default: http://127.0.0.1:7400].", callback=_filled)
    ] = None,
    worker_id: Annotated[
        str | None, typer.Option("--id", help="Stable id [default: host name and queue].", callback=_filled)
    ] = None,
    log_level: Annotated[str | None, typer.Option(help="DEBUG, INFO, WARNING or ERROR.", callback=_filled)] = None,
    alias: Annotated[list[str] | None, typer.Option(help="NAME=MODEL: what a short name stands for.")] = None,
    drain_deadline: Annotated[
        str | None, typer.Option(help="How long runs may take to end once it stops: 90, 30s, 5m [default: 25s].")
    ] = None,
    trace_file: Annotated[Path | None, typer.Option(help="Keep spans in this file [they go to the mesh].")] = None,
    metrics_port: Annotated[int | None, typer.Option(help="Port for /metrics [none].", min=0, max=65535)] = None,
    data: Data = None,
    *,
    of_mesh: Annotated[bool, typer.Option("--of-mesh", hidden=True)] = False,
) -> None:
    """Register with the mesh and take work until Ctrl-C or SIGTERM."""
    from devteam.mesh.process import run as run_process

    flags = {
        "queue": queue,
        "concurrency": concurrency,
        "weight": weight,
        "models": model,
        "provider": provider,
        "api_url": api_url,
        "worker_id": worker_id,
        "log_level": log_level,
        "trace_file": trace_file,
        "metrics_port": metrics_port,
        "aliases": alias and _aliases(alias),
        "drain_deadline_ms": None if drain_deadline is None else _milliseconds("--drain-deadline", drain_deadline),
    }
    given: dict[str, object] = {name: value for name, value in flags.items() if value is not None}
    again = asyncio.Event()
    run_process(partial(_start, config, given, data, again, of_mesh=of_mesh))
    if again.is_set():
        _begin_anew()


# In the order of the help.
app.command()(owner_commands.restart)
app.command()(owner_commands.stop)
app.command()(owner_commands.drain)
app.command()(owner_commands.status)
app.command()(log_commands.logs)
app.command()(doctor)
app.add_typer(config_commands.config)
app.add_typer(service_commands.service)


def _milliseconds(option: str, text: str) -> int:
    return round(seconds_of(option, text, least="1ms", most="1d") * 1000)


def _aliases(pairs: list[str]) -> dict[str, str]:
    aliases = {}
    for pair in pairs:
        name, _, model = pair.partition("=")
        if not name or not model:
            raise typer.BadParameter(f"{pair!r} is not of the form NAME=MODEL", param_hint="--alias")
        aliases[name] = model
    return aliases


async def _start(
    config: Path | None, flags: dict[str, object], data: Path | None, again: asyncio.Event, *, of_mesh: bool
) -> None:
    """Work until told to stop; `again` is set if the process shall begin anew.

    One that a mesh runs for itself (`of_mesh`) leaves the files in the folder to the owner's own worker.
    """
    from devteam.mesh.logs import configure_logs
    from devteam.mesh.telemetry import MeshAddress, configure_telemetry
    from devteam_worker import membership
    from devteam_worker.app import Owner, Ready
    from devteam_worker.providers.discovery import refuse_unservable
    from devteam_worker.settings import load_settings
    from devteam_worker.told import Told
    from devteam_worker.worker import announcement, without_provider

    def file() -> Path | None:
        return config if of_mesh else file_of(config, data)

    def load() -> "WorkerSettings":
        return load_settings(file(), flags, os.environ, None if of_mesh else membership.read(folder(data)))

    def read_settings() -> "WorkerSettings":
        wished = load()
        # Refused now, a restart costs nothing; refused by the next start, it costs the worker.
        refuse_unservable(wished)
        return wished

    settings = load()
    configure_logs("worker", level=settings.log_level)
    mesh = MeshAddress(settings.api_url, settings.api_key.get_secret_value(), settings.tls)
    telemetry = configure_telemetry("devteam-worker", settings.trace_file, mesh=mesh, instance=settings.worker_id)
    presence = _presence(settings, file(), data, of_mesh=of_mesh)
    told = Told(presence, read_settings, again)

    def on_ready(ready: Ready) -> None:
        presence.ready(ready.declaration.instance_id, ready.slots)
        write(announcement(ready))
        if missing := without_provider(ready):
            write(missing)
        write("Ready")

    try:
        async with told.listening():
            presence.claim()
            _keep_log(presence)
            owner = Owner(told.to_end, on_ready, presence.draining, on_slots=presence.slots, steer=told.steer)
            with _refusals_logged():
                await _serve_measured(settings, owner, folder(data))
            if again.is_set():
                presence.restarting()
    finally:
        if not again.is_set():
            presence.leave()
        if telemetry is not None:
            await asyncio.to_thread(telemetry.shutdown)


async def _serve_measured(settings: "WorkerSettings", owner: "Owner", data: Path) -> None:
    from devteam.mesh.metrics.process import process_metrics
    from devteam_worker.app import serve

    async with process_metrics("devteam-worker", settings.metrics_host, settings.metrics_port or None):
        await serve(settings, owner, data=data)


def _presence(settings: "WorkerSettings", file: Path | None, data: Path | None, *, of_mesh: bool) -> "OwnPresence":
    from devteam_worker.presence import OwnPresence, Presence, this_process

    pid, began = this_process()
    presence = Presence(
        settings.worker_id,
        pid,
        began,
        started_at=time.time(),
        command=tuple(sys.orig_argv),
        config=str(file.absolute()) if file else "",
        api_url=settings.api_url,
        concurrency=settings.concurrency,
        drain_deadline=settings.drain_deadline_ms / 1000,
        looks=0,
        of_mesh=of_mesh,
    )
    return OwnPresence(presences_in(data), presence)


def _keep_log(presence: "OwnPresence") -> None:
    """Write the log to a file too: whoever started the worker may keep nothing of its stderr."""
    import structlog

    from devteam.mesh.logs import log_to_file
    from devteam_worker.log_file import log_file

    folder, worker_id, _ = presence.place
    try:
        log_to_file("worker", log_file(folder, worker_id))
    except OSError as error:
        structlog.get_logger().warning("cannot write the log file", error=str(error))


@contextmanager
def _refusals_logged() -> Iterator[None]:
    """What ends the worker is in its log too: whoever reads that saw nothing of its stderr."""
    import structlog

    from devteam.mesh.errors import DevTeamError
    from devteam.mesh.logs import leave_stderr

    try:
        yield
    except DevTeamError as refusal:
        leave_stderr()
        structlog.get_logger().error("the worker ends", why=refusal.message)
        raise


def _begin_anew() -> None:
    """Become the same command again, in the same process: whoever supervises it sees nothing of it."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - our own command line


def run() -> None:
    """Be the devteam-worker command."""
    # gRPC's core reports every connection that fails to stderr, where a command speaks to its user.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    from devteam.mesh.process import whole

    whole(app)
