"""CONTRIBUTING.md, followed: what it tells people to write does what it says, and the files that it names are there."""

import asyncio
import re
from random import Random
from typing import Any

import pytest
import typer
from devteam_cli.session import Defaults
from devteam_registry.routing import Strategy as RegistryStrategy
from devteam_router.convert.runs import STRATEGIES
from devteam_router.domain import Resources, StrategyName
from devteam_router.placing import Placer
from devteam_worker.agent import ModelAgent
from devteam_worker.domain import Completed
from devteam_worker.providers.base import Text, Token
from devteam_worker.providers.catalog import Catalog
from devteam_worker.tools.toolbox import Toolbox
from typer.testing import CliRunner

from devteam.specs import Strategy
from devteam.testing import FakeMesh
from devteam.v1 import run_pb2
from tests.docs.blocks import blocks, text_of
from tests.e2e.programs import REPOSITORY
from tests.fakes.agent_script import an_assignment
from tests.fakes.clock import FakeClock
from tests.fakes.router_desk import PlacingDesk
from tests.fakes.router_samples import a_signature, a_worker

PAGE = "CONTRIBUTING.md"


def written(name: str, **instead: str) -> Any:
    """What the recipe that defines `name` defines, with words put in the place of others."""
    [text] = [block.text for block in blocks(PAGE) if block.language == "python" and name in block.text]
    for old, new in instead.items():
        text = text.replace(old, new)
    scope: dict[str, Any] = {"__name__": "recipe"}
    exec(compile(text, PAGE, "exec"), scope)
    return scope[name]


class TestAStrategy:
    @pytest.fixture
    def desk(self) -> PlacingDesk:
        """A desk whose round-robin is the page's strategy: an enum cannot be given a name from outside."""
        strategy = written("SmallFirst", SMALL_FIRST="ROUND_ROBIN")()
        desk = PlacingDesk()
        desk.placer = Placer(desk.fleet, desk.leases, desk.routing, {strategy.name: strategy}, Random(7))
        return desk

    def test_it_prefers_what_it_says(self, desk: PlacingDesk) -> None:
        for name, ram in (("large", 64.0), ("small", 8.0), ("middle", 16.0)):
            desk.come(a_worker(name, resources=Resources(ram_gb=ram), queues={"default": 1}))
        wanted = a_signature(strategy=StrategyName.ROUND_ROBIN)
        assert desk.explain(wanted) == ("small", "it is the smallest of 3 in default")
        assert [desk.pick(wanted) for _ in range(3)] == ["small", "middle", "large"]

    def test_its_name_goes_wherever_the_others_stand(self) -> None:
        names = {strategy.name for strategy in StrategyName}
        assert {strategy.name for strategy in Strategy} == names
        assert {strategy.name for strategy in RegistryStrategy} == names
        assert {run_pb2.Strategy.Name(number).removeprefix("STRATEGY_") for number in STRATEGIES} == names
        told = text_of("docs/routing.md")
        assert [strategy for strategy in Strategy if f"| `{strategy}`" not in told] == []


async def test_a_provider_answers_a_run() -> None:
    said: list[Token] = []

    async def hear(token: Token) -> None:
        said.append(token)

    agent = ModelAgent(Catalog({"sim": written("Parrot")()}, simulate=True), Toolbox([]), FakeClock())
    outcome = await agent.run(an_assignment(), hear)
    assert said == [Text("What "), Text("is "), Text("new? ")]
    assert isinstance(outcome, Completed)
    assert (outcome.provider, outcome.model) == ("parrot", "parrot-1")


async def test_a_command_asks_a_mesh() -> None:
    app = typer.Typer()
    app.command()(written("count"))
    async with FakeMesh() as mesh:
        ended = await asyncio.to_thread(CliRunner().invoke, app, [], obj=Defaults(api_url=mesh.url))
    assert (ended.exit_code, ended.stdout) == (0, "1\n")


def test_the_files_that_it_names_are_there() -> None:
    roots = "|".join(path.name for path in REPOSITORY.iterdir() if path.is_dir())
    named = re.findall(rf"`((?:{roots})/[\w./-]+)`", text_of(PAGE))
    assert len(named) > 20
    assert [path for path in named if not (REPOSITORY / path).exists()] == []
