"""`devteam routing`: how operators want tasks to be placed, over the whole fleet."""
# ruff: noqa: B006 - typer copies the lists that stand as defaults

import re
from collections.abc import Sequence
from typing import Annotated

import typer

from devteam.errors import NotFound
from devteam.routing import ModelLimit, Routing
from devteam_cli import output
from devteam_cli.routing_view import routing_parts
from devteam_cli.session import ApiKey, ApiUrl, Defaults, OutputOption, Session, connected
from devteam_cli.wishes import PLACEMENT, Wishes, wishes

app = typer.Typer(help="Show how tasks are placed, or say how you want it.")

Models = Annotated[str, typer.Argument(help="A model, or a pattern such as 'ollama:*'.", metavar="MODEL")]
Queues = Annotated[list[str], typer.Argument(help="In order of preference; none takes it back.", metavar="QUEUE")]
Rate = Annotated[str, typer.Argument(help="Starts within a time: 60/min, 1/s, 500/h; 0 takes it back.", metavar="RATE")]

_RATE = re.compile(r"(\d+(?:\.\d+)?)(?:/(s|min|h))?")
_A_MINUTE = {"s": 60.0, "min": 1.0, "h": 1 / 60}


@app.callback(invoke_without_command=True)
def routing(ctx: typer.Context, api_url: ApiUrl = None, api_key: ApiKey = None, output: OutputOption = None) -> None:
    """Show how tasks are placed, or say how you want it."""
    if ctx.invoked_subcommand is None:
        show(ctx, api_url=api_url, api_key=api_key, output=output)
    else:
        ctx.obj = (ctx.obj or Defaults()).under(Defaults(api_url, api_key, output))


@connected
async def show(session: Session) -> None:
    """Show the whole policy."""
    _show(session, await session.client.get_routing())


@app.command("set")
@connected
async def set_routing(session: Session, given: Wishes) -> None:
    """Say how tasks are placed: strategy=least-loaded locality-wait=3s."""
    _show(session, await session.client.update_routing(**wishes(given, PLACEMENT)))


@app.command("prefer")
@connected
async def prefer(session: Session, model: Models, queues: Queues = []) -> None:
    """Say which queues tasks of a model go to when they name none."""
    preferences = dict((await session.client.get_routing()).preferences)
    if queues:
        preferences[model] = queues
    elif preferences.pop(model, None) is None:
        raise NotFound("preference", model)
    _show(session, await session.client.update_routing(preferences=preferences))


@app.command("limit")
@connected
async def limit(
    session: Session,
    model: Models,
    rate: Rate,
    *,
    queue: Annotated[str, typer.Option("--queue", "-q", help="Only what starts out of this queue.")] = "",
) -> None:
    """Say how often tasks of a model may start."""
    wanted = ModelLimit(model=model, queue=queue, starts_per_minute=starts_per_minute(rate))
    limits = (await session.client.get_routing()).limits
    _show(session, await session.client.update_routing(limits=with_limit(limits, wanted)))


def starts_per_minute(text: str) -> float:
    """What "60/min", "1/s" or "500/h" means; a number alone is by the minute. Raises typer.BadParameter."""
    match = _RATE.fullmatch(text.strip())
    if match is None:
        raise typer.BadParameter(f"{text!r} is no rate; write 60/min, 1/s or 500/h", param_hint="RATE")
    return float(match[1]) * _A_MINUTE[match[2] or "min"]


def with_limit(limits: Sequence[ModelLimit], wanted: ModelLimit) -> list[ModelLimit]:
    """`limits` with another one in the place of that for the same model and queue; one of 0 only takes that away.

    Raises NotFound when there is nothing to take away.
    """
    same = {(one.model, one.queue): one for one in limits}
    if wanted.starts_per_minute:
        same[wanted.model, wanted.queue] = wanted
    elif same.pop((wanted.model, wanted.queue), None) is None:
        raise NotFound("limit", wanted.model)
    return list(same.values())


def _show(session: Session, policy: Routing) -> None:
    if session.is_text:
        session.show(*routing_parts(policy))
    else:
        output.write_item(session.output, policy)
