"""The devteam-worker command."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from devteam.mesh.errors import InvalidInput
from devteam_worker import config_commands, owner_commands
from devteam_worker.command_line import Data, file_of, folder

if TYPE_CHECKING:
    from devteam_worker.presence import OwnPresence
    from devteam_worker.settings import WorkerSettings

app = typer.Typer(
    name="devteam-worker",
    help="Runs tasks of a DevTeam mesh on this machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.command()(owner_commands.restart)
app.command()(owner_commands.stop)
app.command()(owner_commands.status)
app.add_typer(config_commands.config)


@app.callback()
def main() -> None:
    """Runs tasks of a DevTeam mesh on this machine."""


@app.command()
def start(
    config: Annotated[Path | None, typer.Option(help="Worker file (YAML).", exists=True, dir_okay=False)] = None,
    queue: Annotated[list[str] | None, typer.Option(help="Queue to serve; repeat for several.")] = None,
    concurrency: Annotated[int | None, typer.Option(help="Runs at a time.")] = None,
    weight: Annotated[
        float | None, typer.Option(help="What a run counts for here: 4 where it takes a quarter of the usual time.")
    ] = None,
    model: Annotated[list[str] | None, typer.Option(help="Model pattern to serve, e.g. opus or 'ollama:*'.")] = None,
    provider: Annotated[str | None, typer.Option(help="auto, anthropic, ollama or sim.")] = None,
    api_url: Annotated[str | None, typer.Option(help="Address of the mesh [default: http://127.0.0.1:7400].")] = None,
    worker_id: Annotated[str | None, typer.Option("--id", help="Stable id [default: host name and queue].")] = None,
    log_level: Annotated[str | None, typer.Option(help="DEBUG, INFO, WARNING or ERROR.")] = None,
    alias: Annotated[list[str] | None, typer.Option(help="NAME=MODEL: what a short name stands for.")] = None,
    drain_deadline: Annotated[
        float | None, typer.Option(help="Seconds for runs to end once it stops.", min=0.001, max=86_400)
    ] = None,
    trace_file: Annotated[Path | None, typer.Option(help="Write spans here, one JSON object a line.")] = None,
    data: Data = None,
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
        "aliases": alias and _aliases(alias),
        "drain_deadline_ms": None if drain_deadline is None else int(drain_deadline * 1000),
    }
    given: dict[str, object] = {name: value for name, value in flags.items() if value is not None}
    again = asyncio.Event()
    run_process(partial(_start, config, given, data, again))
    if again.is_set():
        _begin_anew()


def _aliases(pairs: list[str]) -> dict[str, str]:
    aliases = {}
    for pair in pairs:
        name, _, model = pair.partition("=")
        if not name or not model:
            raise typer.BadParameter(f"{pair!r} is not of the form NAME=MODEL", param_hint="--alias")
        aliases[name] = model
    return aliases


async def _start(config: Path | None, flags: dict[str, object], data: Path | None, again: asyncio.Event) -> None:
    """Work until told to stop; `again` is set if the process shall begin anew."""
    from devteam.mesh.logs import configure_logs
    from devteam.mesh.telemetry import configure_telemetry
    from devteam_worker.app import Ready, serve
    from devteam_worker.settings import load_settings
    from devteam_worker.worker import announcement

    file = file_of(config, data)
    settings = load_settings(file, flags, os.environ)
    configure_logs("worker", level=settings.log_level)
    telemetry = configure_telemetry("devteam-worker", settings.trace_file)
    presence = _presence(settings, file, data)

    def on_ready(ready: Ready) -> None:
        presence.ready(ready.declaration.instance_id, ready.declaration.concurrency)
        print(announcement(ready), flush=True)  # noqa: T201 - the command's output
        if ready.simulated:
            print(  # noqa: T201 - the command's output
                "Answers are simulated: this machine has no model provider. "
                "Set ANTHROPIC_API_KEY or start Ollama for real ones.",
                flush=True,
            )
        print("Ready", flush=True)  # noqa: T201 - the command's output

    def on_restart() -> None:
        try:
            load_settings(file_of(config, data), flags, os.environ)
        except InvalidInput as wrong:
            presence.refused(wrong.message)
        else:
            again.set()

    try:
        async with _told(on_restart, again) as told:

            async def until() -> None:
                await told()
                presence.stopping()

            presence.claim()
            await serve(settings, until=until, on_ready=on_ready, on_drain=presence.draining)
            if again.is_set():
                presence.restarting()
    finally:
        if not again.is_set():
            presence.leave()
        if telemetry is not None:
            telemetry.shutdown()


def _presence(settings: "WorkerSettings", file: Path | None, data: Path | None) -> "OwnPresence":
    from devteam_worker.presence import OwnPresence, Presence, Presences, this_process

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
    )
    return OwnPresence(Presences(folder(data) / "workers"), presence)


@asynccontextmanager
async def _told(on_restart: Callable[[], None], again: asyncio.Event) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Listen for signals; what is yielded waits for one that ends this worker's work."""
    from devteam.mesh.process import end_at_next_signal
    from devteam.mesh.tasks import stop_signal
    from devteam_worker.owner import RESTART_SIGNAL

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(RESTART_SIGNAL, on_restart)
    ends = [asyncio.ensure_future(stop_signal()), asyncio.ensure_future(again.wait())]

    async def until() -> None:
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        # A wish that comes now comes too late, and must not kill the process: not even while it begins anew.
        loop.remove_signal_handler(RESTART_SIGNAL)
        signal.signal(RESTART_SIGNAL, signal.SIG_IGN)
        end_at_next_signal()

    try:
        yield until
    finally:
        for end in ends:
            end.cancel()
        await asyncio.wait(ends)


def _begin_anew() -> None:
    """Become the same command again, in the same process: whoever supervises it sees nothing of it."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - our own command line


def run() -> None:
    """Be the devteam-worker command."""
    app()
