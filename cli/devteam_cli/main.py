"""The `devteam` command."""

import os
import sys
from typing import Annotated

import typer

from devteam_cli import (
    conformance,
    demo,
    drain,
    encryption,
    erase,
    events,
    explain,
    join_token,
    keys,
    migrate,
    plan,
    queues,
    routing,
    simulate,
    status,
    task,
    top,
    trace,
    ui,
    up,
    whoami,
    workers,
)
from devteam_cli.certs import command as certs
from devteam_cli.doctor.command import doctor
from devteam_cli.gateway import command as gateway
from devteam_cli.health import health
from devteam_cli.session import ApiKey, ApiUrl, Defaults, OutputOption

app = typer.Typer(
    name="devteam",
    help="Run LLM agents on a mesh of machines.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(task.app, name="task")
app.add_typer(plan.app, name="plan")
app.add_typer(workers.app, name="worker")
app.add_typer(queues.app, name="queue")
app.add_typer(routing.app, name="routing")
app.add_typer(keys.app, name="keys")
app.add_typer(join_token.app, name="join-token")
app.add_typer(conformance.app, name="conformance")
app.add_typer(certs.app, name="certs")
app.add_typer(gateway.app, name="gateway")
app.add_typer(encryption.app, name="encryption")
app.command("up")(up.up)
app.command("ui")(ui.ui)
app.command("demo")(demo.demo)
app.command("whoami")(whoami.whoami)
app.command("status")(status.status)
app.command("doctor")(doctor)
app.command("health")(health)
app.command("workers")(workers.list_workers)
app.command("drain")(drain.drain)
app.command("queues")(queues.list_queues)
app.command("explain")(explain.explain)
app.command("trace")(trace.trace)
app.command("top")(top.top)
app.command("events")(events.events)
app.command("erase")(erase.erase)
app.command("migrate")(migrate.migrate)
app.command("simulate")(simulate.simulate)


def _tell_version(asked: bool) -> None:  # noqa: FBT001 - typer calls it so
    if asked:
        from devteam.mesh.version import version

        print(version())  # noqa: T201 - the command's output
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", help="Say which version this is.", callback=_tell_version, is_eager=True)
]


@app.callback()
def common(
    ctx: typer.Context,
    api_url: ApiUrl = None,
    api_key: ApiKey = None,
    output: OutputOption = None,
    *,
    version: Version = False,  # noqa: ARG001 - its callback has told it
) -> None:
    """Run LLM agents on a mesh of machines."""
    ctx.obj = Defaults(api_url, api_key, output)


def run() -> None:
    """Run the command that the process was started with."""
    # gRPC's core reports every connection that ends to stderr, where a command speaks to its user.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    try:
        app()
    except SystemExit as ended:
        # A mesh ran in this process.
        if "temporalio" in sys.modules:
            from devteam.mesh.process import leave

            leave(ended)
        raise
