"""`devteam demo`: the whole mesh, one plan, and an explanation of what happened."""

import asyncio
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from devteam.mesh.errors import DevTeamError
from devteam.models import Plan, PlanState
from devteam_cli.failures import Exit, code_of, complain, first_of
from devteam_cli.stderr import say

if TYPE_CHECKING:
    from devteam.client import DevTeamClient
    from devteam_cli.data_folder import DataFolder
    from devteam_cli.local_workers import LocalWorker
    from devteam_cli.mesh import Mesh

_PLAN = Path(__file__).with_name("research_pipeline.yaml")


def demo(
    *,
    topic: Annotated[str | None, typer.Option(help="What to research.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder for state, kept afterwards [a temporary one].")] = None,
) -> None:
    """Start a mesh with two workers, run a research pipeline on it, show who did what and why, and stop it all."""
    try:
        if data is not None:
            code = asyncio.run(_demo(data, topic))
        else:
            with tempfile.TemporaryDirectory(prefix="devteam-demo-") as folder:
                code = asyncio.run(_demo(Path(folder), topic, kept=False))
    except* DevTeamError as group:
        error = first_of(group)
        complain(error)
        raise typer.Exit(code_of(error)) from None
    raise typer.Exit(code)


async def _demo(path: Path, topic: str | None, *, kept: bool = True) -> Exit:
    from devteam.client import DevTeamClient
    from devteam.mesh.server import Listen
    from devteam_cli.data_folder import data_folder
    from devteam_cli.mesh import MeshPlan, running_mesh
    from devteam_cli.observing import observing

    with data_folder(path, fresh=True) as data, observing(data, "INFO"):
        temporal = os.environ.get("DEVTEAM_TEMPORAL_ADDRESS", "")
        plan = MeshPlan(Listen(port=0), await _workers(), ui=False, temporal=temporal)
        async with running_mesh(plan, data, say) as mesh, DevTeamClient(mesh.url) as client:
            _introduce(mesh)
            finished = await _run_pipeline(client, topic)
            await _tell(client, finished)
            say("stopping the mesh")
    _tell_trace(data)
    if kept:
        say(f"to look at it: `devteam up --data {path}`, and then `devteam trace {finished.id}`")
    return Exit.OK if finished.state is PlanState.SUCCEEDED else Exit.FAILED


async def _workers() -> "Sequence[LocalWorker]":
    from devteam_cli.local_models import alias_arguments
    from devteam_cli.local_workers import LocalWorker

    arguments = await alias_arguments(os.environ)
    return (
        LocalWorker("laptop", ("research-queue", "default"), 2, arguments),
        LocalWorker("gpu-box", ("gpu-queue",), 1, arguments),
    )


def _introduce(mesh: "Mesh") -> None:
    say(f"the mesh answers at {mesh.url}, with two workers: laptop (research-queue, default) and gpu-box (gpu-queue)")
    if mesh.simulated:
        say(
            "no ANTHROPIC_API_KEY is set and no Ollama answers: "
            "every model is the built-in `sim`, whose text is made up from its prompt"
        )


async def _run_pipeline(client: "DevTeamClient", topic: str | None) -> Plan:
    from devteam_cli.live import show_plan
    from devteam_cli.plan_file import read_plan
    from devteam_cli.session import console

    written = read_plan(str(_PLAN))
    inputs = {**written.input, **({"topic": topic} if topic else {})}
    plan = await client.create_plan(written.name, written.steps, input=inputs)
    screen = console(sys.stderr)
    return await show_plan(client, plan.id, screen, live=sys.stderr.isatty())


async def _tell(client: "DevTeamClient", plan: Plan) -> None:
    from devteam_cli.text import printable

    say("")
    for task in plan.tasks:
        usage = task.completion.usage.output_tokens if task.completion else 0
        provider = task.completion.provider if task.completion else "-"
        say(f"{task.step_id}: {task.state.value} on {task.worker_id or '-'} ({provider}, {usage} tokens)")
        say(f"    {task.placement_reason or task.wait_reason or '-'}")
    say("")
    last = await client.get_task(plan.tasks[-1].id)
    if last.output:
        print(printable(last.output), flush=True)  # noqa: T201 - the command's output
    elif last.failure:
        say(f"{last.step_id} failed: {last.failure.message}")


def _tell_trace(data: "DataFolder") -> None:
    from devteam_cli.trace_summary import summary

    with suppress(DevTeamError):  # a store that cannot be read is told of in the log
        if told := summary(data.traces):
            say(told)
