"""The `devteam` command."""

import os
from typing import Annotated

import typer

from devteam.mesh.process import whole
from devteam_cli.commands import Commands
from devteam_cli.session import ApiKey, ApiUrl, Defaults, OutputOption

app = typer.Typer(
    name="devteam",
    cls=Commands,
    help="Run LLM agents on a mesh of machines.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


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
    whole(app)
