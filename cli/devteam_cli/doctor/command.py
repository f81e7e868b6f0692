"""`devteam doctor`: what keeps a mesh from working, seen from here."""

import asyncio
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from devteam_cli import output
from devteam_cli.failures import Exit
from devteam_cli.output import Output
from devteam_cli.session import ApiKey, ApiUrl, Defaults, OutputOption, show
from devteam_cli.stderr import say

if TYPE_CHECKING:
    from devteam.mesh.finding import Finding
    from devteam_cli.doctor.examination import Surroundings

Idle = Annotated[
    float, typer.Option(help="Seconds to hold a stream open without a word, to see whether it is cut.", min=0.0)
]
Patience = Annotated[float, typer.Option(help="Seconds for each answer over a network.", min=0.1)]


def doctor(
    ctx: typer.Context,
    *,
    idle: Idle = 0.0,
    patience: Patience = 5.0,
    api_url: ApiUrl = None,
    api_key: ApiKey = None,
    form: OutputOption = None,
) -> None:
    """Look at the way to the mesh and at all of it, and say what to do where something is wrong.

    Exit code 1 when there is a problem. Asks the mesh, and the model providers that a worker here would use.
    """
    from devteam.mesh.finding import Verdict
    from devteam.mesh.logs import configure_logs

    # What providers log of their troubles is what is said here anyway.
    configure_logs("devteam", level="CRITICAL")
    said = (ctx.obj or Defaults()).under(Defaults(api_url, api_key, form))
    if idle:
        say(f"a stream is held open for {idle:g} s, if the mesh can be reached")
    found = asyncio.run(_examined(_surroundings(said, patience, idle)))
    if (said.output or Output.TABLE) is Output.TABLE:
        _show(found)
    else:
        output.write_items(said.output or Output.JSON, found)
    raise typer.Exit(Exit.FAILED if any(one.verdict is Verdict.PROBLEM for one in found) else Exit.OK)


def _surroundings(said: Defaults, patience: float, idle: float) -> "Surroundings":
    from devteam.mesh.address import DEFAULT_URL
    from devteam.mesh.tls import CA_FILE
    from devteam_cli.doctor.examination import Surroundings
    from devteam_cli.local_mesh import access

    found = access(said.api_url, said.api_key, os.environ)
    url = found.url or os.environ.get("DEVTEAM_API_URL") or DEFAULT_URL
    key = os.environ.get("DEVTEAM_API_KEY", "") if found.key is None else found.key
    return Surroundings(url, key, {**os.environ, **({CA_FILE: found.ca} if found.ca else {})}, patience, idle)


async def _examined(here: "Surroundings") -> "list[Finding]":
    from devteam_cli.doctor import idle, way
    from devteam_cli.doctor.examination import Check, examine
    from devteam_cli.doctor.here import providers

    checks = (
        *way.CHECKS,
        Check("standing", _standing, after="mesh"),
        Check("keepalive", idle.keepalive),
        Check("idle", idle.idle, after="mesh"),
        Check("here", providers),
    )
    return await examine(checks, here)


async def _standing(here: "Surroundings") -> "Sequence[Finding]":
    from devteam.client import DevTeamClient
    from devteam.errors import DevTeamError
    from devteam.mesh.finding import warning
    from devteam_cli.doctor.standing import findings
    from devteam_cli.overview import overview

    ca = here.tls.ca if here.tls else None
    async with DevTeamClient(here.url, api_key=here.api_key, timeout=here.patience, ca_file=ca) as client:
        try:
            return findings(await overview(client), datetime.now(UTC))
        except DevTeamError as error:
            return [warning(f"the mesh went away meanwhile: {error.message}", "look again")]


def _show(found: "Sequence[Finding]") -> None:
    from devteam_cli.render import table

    show(table(("VERDICT", "CHECK", "FOUND"), ((one.verdict.value, one.check, one.found) for one in found), "VERDICT"))
    fixes = [(one.check, one.fix) for one in found if one.fix]
    if fixes:
        show("", table(("WHAT TO DO ABOUT", "FIX"), fixes))
