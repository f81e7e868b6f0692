"""`devteam conformance`: whether a program is a worker, as the contract has it."""
# ruff: noqa: B006 - typer copies the lists that stand as defaults

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from devteam.mesh.errors import DevTeamError, InvalidInput, Violation
from devteam_cli import output
from devteam_cli.failures import Exit, code_of, complain
from devteam_cli.output import Output
from devteam_cli.session import Defaults, OutputOption, show
from devteam_cli.stderr import say

if TYPE_CHECKING:
    from devteam.testing.conformance.launch import Launcher
    from devteam.testing.conformance.verdict import Verdict

app = typer.Typer(help="Check programs against the contract.", no_args_is_help=True)

Address = Annotated[str, typer.Option(metavar="HOST:PORT", help="Where to listen, as the worker reaches it.")]
Only = Annotated[list[str], typer.Option(metavar="SCENE", help="Play only this scene; repeat for several.")]
Timeout = Annotated[
    float, typer.Option(min=0.1, max=600, help="Seconds that the worker gets for what the contract sets no bound to.")
]
Command = Annotated[
    list[str], typer.Argument(metavar="[-- COMMAND ...]", help="Starts the worker, as often as scenes need.")
]


@app.callback()
def conformance() -> None:
    """Check programs against the contract."""


@app.command("worker")
def worker(
    ctx: typer.Context,
    *,
    command: Command = [],
    address: Address = "127.0.0.1:7410",
    only: Only = [],
    timeout: Timeout = 10.0,
    how: OutputOption = None,
) -> None:
    """Be a mesh for one worker, in whatever language it is written, and see whether it does what the contract says.

    Start the worker against the address, with queue `conformance`, model `sim` and 2 slots; or let COMMAND start it,
    with DEVTEAM_API_URL, DEVTEAM_QUEUE, DEVTEAM_MODELS and DEVTEAM_CONCURRENCY set. Exit code 1: a scene failed.
    """
    from devteam.mesh.logs import configure_logs

    # The suite's own servers log as any other: beside the data.
    configure_logs("devteam", level="WARNING")
    said = (ctx.obj or Defaults()).under(Defaults(output=how))
    try:
        verdicts = asyncio.run(_examined(address, command, only, timeout, said.output or Output.TABLE))
    except DevTeamError as error:
        complain(error)
        raise typer.Exit(code_of(error)) from None
    raise typer.Exit(Exit.FAILED if any(one.outcome == "failed" for one in verdicts) else Exit.OK)


async def _examined(
    address: str, command: Sequence[str], only: Sequence[str], timeout: float, how: Output
) -> "Sequence[Verdict]":
    from devteam.mesh.clock import SystemClock
    from devteam.mesh.ids import TimeOrderedIds
    from devteam.testing.conformance.launch import ByHand
    from devteam.testing.conformance.stage import Stage
    from devteam.testing.conformance.suite import chosen, play
    from devteam_cli.conformance_child import ByCommand

    clock = SystemClock()
    scenes = chosen(only)
    stage = Stage(*_host_and_port(address), clock, TimeOrderedIds(clock), patience=timeout)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(stage.open())
        url = stage.server.url
        launcher: Launcher = ByHand(url, say)
        if command:
            launcher = await stack.enter_async_context(ByCommand(command, url, say))
        stage.launcher = launcher
        verdicts: list[Verdict] = []
        try:
            await play(stage, scenes, partial(_keep, verdicts))
        finally:
            # Whatever ended it: half an examination is worth having.
            if verdicts:
                write_verdicts(verdicts, how)
    return verdicts


def _keep(verdicts: "list[Verdict]", verdict: "Verdict") -> None:
    say_verdict(verdict)
    verdicts.append(verdict)


def say_verdict(verdict: "Verdict") -> None:
    """What became of one scene, beside the data."""
    say(f"{verdict.outcome:<7} {verdict.scene}: {verdict.seen}")


def write_verdicts(verdicts: "Sequence[Verdict]", how: Output) -> None:
    """All of them."""
    if how is not Output.TABLE:
        output.write_items(how, verdicts)
        return
    from devteam_cli.conformance_view import verdicts_table

    show(verdicts_table(verdicts))
    counts = [sum(one.outcome == outcome for one in verdicts) for outcome in ("passed", "failed", "skipped")]
    show("", "{} passed, {} failed, {} skipped".format(*counts))


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise InvalidInput(Violation("--address", "ADDRESS_FORMAT", f"{address!r} is not of the form HOST:PORT"))
    return host, int(port)
