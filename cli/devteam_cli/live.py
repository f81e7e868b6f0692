"""A plan on the screen while it runs: a live tree on a terminal, a line for each change elsewhere."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING

from devteam.client import DevTeamClient
from devteam.events import Event
from devteam.mesh.tasks import cancelled
from devteam.models import Plan, TaskState
from devteam_cli.plan_view import PlanView, StepView, told
from devteam_cli.reminder import reminder
from devteam_cli.render import STYLES
from devteam_cli.text import printable, tail

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text
    from rich.tree import Tree

_FRAME = 0.1
_MARKS = {
    TaskState.PENDING: "·",
    TaskState.QUEUED: "…",
    TaskState.RUNNING: "▶",
    TaskState.SUCCEEDED: "✓",
    TaskState.FAILED: "✗",
    TaskState.CANCELLED: "■",
    TaskState.SKIPPED: "-",
}
# Steps that move are shown first when not all of them fit.
_URGENCY = (TaskState.RUNNING, TaskState.FAILED, TaskState.QUEUED)


async def show_plan(
    client: DevTeamClient, plan_id: str, console: "Console", *, live: bool, cancel_on_exit: bool = False
) -> Plan:
    """Show a plan on `console` until it has ended, and return it. Raises what the client raises."""
    view = PlanView()
    async with aclosing(client.watch_plan(plan_id, cancel_on_disconnect=cancel_on_exit)) as events:
        await (_animate(events, view, console) if live else _report(events, view, console))
    return await client.get_plan(plan_id)


async def _report(events: AsyncGenerator[Event, None], view: PlanView, console: "Console") -> None:
    def say(line: str) -> None:
        if line:
            console.print(printable(line))

    with reminder(lambda: say(view.remind())):
        async for event in events:
            say(view.apply(event))


async def _animate(events: AsyncGenerator[Event, None], view: PlanView, console: "Console") -> None:
    async with _frames(view, console):
        with reminder(view.remind):
            async for event in events:
                view.apply(event)


@asynccontextmanager
async def _frames(view: PlanView, console: "Console") -> AsyncGenerator[None, None]:
    """Draw the view ten times a second, however fast tokens come, and once more at the end."""
    from rich.live import Live

    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as screen:

        async def draw() -> None:
            while True:
                screen.update(_tree(view, console), refresh=True)
                await asyncio.sleep(_FRAME)

        drawing = asyncio.create_task(draw())
        try:
            yield
        finally:
            await cancelled(drawing)
            screen.update(_tree(view, console), refresh=True)


def _tree(view: PlanView, console: "Console") -> "Tree":
    from rich.text import Text
    from rich.tree import Tree

    if view.plan is None:
        return Tree(Text("..."))
    title = Text.assemble((printable(view.plan.name), "bold"), " ", _state_text(view.plan.state.value))
    if view.trouble:
        title.append(f"  {printable(view.trouble)}", "yellow")
    tree = Tree(title)
    # Two lines a step, and one each for the title, the rest and the cursor.
    shown, hidden = _fitting(list(view.steps.values()), max((console.height - 3) // 2, 1))
    for step in shown:
        tree.add(_step_text(step, console.width - 6))
    if hidden:
        tree.add(Text(f"and {hidden} more", "dim"))
    return tree


def _fitting(steps: list[StepView], room: int) -> tuple[list[StepView], int]:
    if len(steps) <= room:
        return steps, 0
    urgent = sorted(
        steps, key=lambda step: _URGENCY.index(step.task.state) if step.task.state in _URGENCY else len(_URGENCY)
    )
    chosen = {step.task.id for step in urgent[:room]}
    return [step for step in steps if step.task.id in chosen], len(steps) - room


def _step_text(step: StepView, width: int) -> "Text":
    from rich.text import Text

    task = step.task
    style = STYLES.get(task.state.value, "dim")
    text = Text.assemble((f"{_MARKS.get(task.state, '?')} ", style), (printable(task.step_id), "bold"), " ")
    text.append(printable(told(task)), style)
    if task.state is TaskState.RUNNING:
        text.append(f", attempt {task.attempt}, {step.tokens} tokens")
    elif task.state is TaskState.PENDING and task.depends_on:
        text.append(f" after {printable(', '.join(task.depends_on))}", "dim")
    text.truncate(width, overflow="ellipsis")
    if task.state is TaskState.RUNNING and step.text:
        text.append(f"\n{tail(step.text, width)}", "dim")
    return text


def _state_text(state: str) -> tuple[str, str]:
    return state, STYLES.get(state, "dim")
