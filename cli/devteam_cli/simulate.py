"""`devteam simulate`: a day of traffic through the router's real placement, in seconds and without a mesh."""
# ruff: noqa: B006 - typer copies the lists that stand as defaults

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from devteam.mesh.errors import DevTeamError
from devteam.specs import Strategy
from devteam_cli import output
from devteam_cli.failures import Exit, code_of, complain
from devteam_cli.output import Output
from devteam_cli.session import Defaults, OutputOption, show

if TYPE_CHECKING:
    from devteam_router.simulation.figures import Figures
    from devteam_router.simulation.scenario import Scenario

_EXAMPLE = Path(__file__).with_name("fleet.yaml")

File = Annotated[Path | None, typer.Argument(help="A scenario; --example writes one.", metavar="FILE")]
Hours = Annotated[float | None, typer.Option(min=0.01, max=8784, help="How long tasks come [as the file says].")]
Seed = Annotated[int | None, typer.Option(help="Another one makes other chances [as the file says].")]
Strategies = Annotated[list[Strategy], typer.Option("--strategy", "-s", help="As often as need be, to compare them.")]
All = Annotated[bool, typer.Option("--all", help="Compare all strategies.")]
Plot = Annotated[Path | None, typer.Option(metavar="PNG", help="Draw utilisation and waiting time over the time.")]
Example = Annotated[bool, typer.Option("--example", help="Write a scenario to begin with to stdout.")]


def simulate(
    ctx: typer.Context,
    *,
    file: File = None,
    hours: Hours = None,
    seed: Seed = None,
    strategy: Strategies = [],
    every: All = False,
    plot: Plot = None,
    example: Example = False,
    how: OutputOption = None,
) -> None:
    """Play a scenario through the router's real placement, and say how long tasks waited and how busy workers were."""
    if example:
        output.write(_EXAMPLE.read_text(encoding="utf-8"))
        return
    if file is None:
        raise typer.BadParameter("name a FILE; `devteam simulate --example > fleet.yaml` writes one")
    said = (ctx.obj or Defaults()).under(Defaults(output=how))
    try:
        _simulate(file, hours, seed, list(Strategy) if every else strategy, plot, said.output or Output.TABLE)
    except DevTeamError as error:
        complain(error)
        raise typer.Exit(code_of(error)) from None
    raise typer.Exit(Exit.OK)


def _simulate(
    file: Path, hours: float | None, seed: int | None, strategies: Sequence[str], plot: Path | None, how: Output
) -> None:
    from devteam_cli.scenario_file import read_scenario
    from devteam_cli.simulate_plot import draw, empty_picture

    scenario = read_scenario(file, hours, seed)
    picture = None if plot is None else empty_picture()
    chosen = list(dict.fromkeys(strategies)) or [scenario.policy.strategy.value]
    found = [_played(scenario, strategy) for strategy in chosen]
    _show(found, how)
    if plot is not None and picture is not None:
        draw(picture, found, plot)


def _played(scenario: "Scenario", strategy: str) -> "Figures":
    from devteam_router.domain import StrategyName
    from devteam_router.simulation.figures import figures
    from devteam_router.simulation.play import Play

    from devteam_cli.simulate_progress import Told

    told = Told(strategy, scenario.hours)
    play = Play(scenario, StrategyName(strategy))
    play.run(told)
    found = figures(play)
    told.done(found.placed)
    return found


def _show(found: Sequence["Figures"], how: Output) -> None:
    if how is not Output.TABLE:
        output.write_items(how, found)
        return
    from devteam_cli.simulate_view import parts

    show(*parts(found))
