"""The devteam-worker command."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from devteam.mesh.errors import DevTeamError, InvalidInput

app = typer.Typer(
    name="devteam-worker",
    help="Runs tasks of a DevTeam mesh on this machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

_USAGE, _FAILED = 2, 1


@app.callback()
def main() -> None:
    """Runs tasks of a DevTeam mesh on this machine."""


@app.command()
def start(
    config: Annotated[Path | None, typer.Option(help="Worker file (YAML).", exists=True, dir_okay=False)] = None,
    queue: Annotated[list[str] | None, typer.Option(help="Queue to serve; repeat for several.")] = None,
    concurrency: Annotated[int | None, typer.Option(help="Runs at a time.")] = None,
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
) -> None:
    """Register with the mesh and take work until Ctrl-C or SIGTERM."""
    flags = {
        "queue": queue,
        "concurrency": concurrency,
        "models": model,
        "provider": provider,
        "api_url": api_url,
        "worker_id": worker_id,
        "log_level": log_level,
        "trace_file": trace_file,
        "aliases": alias and _aliases(alias),
        "drain_deadline_ms": None if drain_deadline is None else int(drain_deadline * 1000),
    }
    try:
        asyncio.run(_start(config, {name: value for name, value in flags.items() if value is not None}))
    except InvalidInput as refused:
        _refuse(refused)
    except DevTeamError as failed:
        _fail(failed)


def _aliases(pairs: list[str]) -> dict[str, str]:
    aliases = {}
    for pair in pairs:
        name, _, model = pair.partition("=")
        if not name or not model:
            raise typer.BadParameter(f"{pair!r} is not of the form NAME=MODEL", param_hint="--alias")
        aliases[name] = model
    return aliases


async def _start(config: Path | None, flags: dict[str, object]) -> None:
    from devteam.mesh.logs import configure_logs
    from devteam.mesh.tasks import stop_signal
    from devteam.mesh.telemetry import configure_telemetry
    from devteam_worker.app import Ready, serve
    from devteam_worker.settings import load_settings
    from devteam_worker.worker import announcement

    settings = load_settings(config, flags, os.environ)
    configure_logs("worker", level=settings.log_level)
    telemetry = configure_telemetry("devteam-worker", settings.trace_file)

    def on_ready(ready: Ready) -> None:
        print(announcement(ready), flush=True)  # noqa: T201 - the command's output
        if ready.simulated:
            print(  # noqa: T201 - the command's output
                "Answers are simulated: this machine has no model provider. "
                "Set ANTHROPIC_API_KEY or start Ollama for real ones.",
                flush=True,
            )
        print("Ready", flush=True)  # noqa: T201 - the command's output

    try:
        await serve(settings, until=stop_signal, on_ready=on_ready)
    finally:
        if telemetry is not None:
            telemetry.shutdown()


def _refuse(refused: InvalidInput) -> NoReturn:
    for violation in refused.violations:
        print(f"error: {violation.field}: {violation.message}", file=sys.stderr)  # noqa: T201 - the command's output
    raise SystemExit(_USAGE)


def _fail(failed: DevTeamError) -> NoReturn:
    print(f"error: {failed.message}", file=sys.stderr)  # noqa: T201 - the command's output
    raise SystemExit(_FAILED)


def run() -> None:
    """Be the devteam-worker command."""
    app()
