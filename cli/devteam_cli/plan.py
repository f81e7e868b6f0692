"""`devteam plan`: steps that build on each other."""

import asyncio
import sys
from typing import Annotated

import typer

from devteam.models import Plan, PlanState, TaskState
from devteam_cli import arguments, output, render
from devteam_cli.arguments import CancelOnExit, Limit, PlanId, Wait
from devteam_cli.cancel_view import CancelView, left
from devteam_cli.failures import Exit
from devteam_cli.output import Output
from devteam_cli.plan_file import read_plan
from devteam_cli.session import Session, connected, console
from devteam_cli.stderr import say
from devteam_cli.text import printable, span

app = typer.Typer(help="Run plans: steps that build on each other.", no_args_is_help=True)

File = Annotated[str, typer.Argument(help='YAML or JSON; "-" reads YAML from stdin.', metavar="FILE")]
Inputs = Annotated[list[str], typer.Option("--input", "-i", help="NAME=VALUE of {{input.NAME}}; once for each.")]
RequestId = Annotated[str | None, typer.Option(help="The same id never makes a second plan.")]


@app.command("run")
@connected
async def run(
    session: Session,
    file: File,
    *,
    values: Inputs = [],  # noqa: B006 - typer copies it
    request_id: RequestId = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="As `create`.")] = False,
    cancel_on_exit: CancelOnExit = False,
) -> Exit:
    """Run a plan, show it as it goes on, and print what its last steps say."""
    plan = await _created(session, file, values, request_id)
    if detach:
        return _show_created(session, plan)
    return await _followed(session, plan.id, cancel_on_exit=cancel_on_exit)


@app.command("create")
@connected
async def create(
    session: Session,
    file: File,
    *,
    values: Inputs = [],  # noqa: B006 - typer copies it
    request_id: RequestId = None,
) -> Exit:
    """Submit a plan and print its id."""
    return _show_created(session, await _created(session, file, values, request_id))


@app.command("get")
@connected
async def get(session: Session, plan_id: PlanId) -> None:
    """Show one plan and its steps."""
    plan = await session.client.get_plan(plan_id)
    if not session.is_text:
        output.write_item(session.output, plan)
        return
    session.show(render.plans_table([plan]), "", render.tasks_table(plan.tasks, steps=True))


@app.command("list")
@connected
async def list_plans(
    session: Session,
    *,
    state: Annotated[PlanState | None, typer.Option(help="Only plans in this state.")] = None,
    limit: Limit = 50,
) -> None:
    """Show plans, the newest first."""
    plans = await session.client.list_plans(state=state, limit=limit)
    if not session.is_text:
        output.write_items(session.output, plans)
    elif plans:
        session.show(render.plans_table(plans))
    else:
        say("no plans")


@app.command("watch")
@connected
async def watch(session: Session, plan_id: PlanId) -> Exit:
    """Follow a plan to its end, as `run` does."""
    return await _followed(session, plan_id)


@app.command("cancel")
@connected
async def cancel(session: Session, plan_id: PlanId, *, wait: Wait = False) -> None:
    """Stop a plan: what runs is stopped, what waits never starts."""
    plan = await session.client.cancel_plan(plan_id)
    if wait:
        plan = await _stopped(session, plan_id)
    if session.is_text:
        say(f"{plan.id} is {plan.state.value}" if plan.state.ended else f"{plan.id} is asked to stop")
    else:
        output.write_item(session.output, plan)


async def _created(session: Session, file: str, values: list[str], request_id: str | None) -> Plan:
    written = read_plan(file)
    given = {**written.input, **arguments.pairs("--input", values)}
    return await session.client.create_plan(written.name, written.steps, input=given, request_id=request_id)


def _show_created(session: Session, plan: Plan) -> Exit:
    if session.is_text:
        output.write(f"{plan.id}\n")
    else:
        output.write_item(session.output, plan)
    return Exit.OK


async def _stopped(session: Session, plan_id: str) -> Plan:
    view = CancelView(steps=True)
    if session.is_text:
        await view.follow(session.client.watch_plan(plan_id))
        view.say((await session.client.get_plan(plan_id)).tasks)  # news may be slower than the end
    plan = await session.client.wait(plan_id)
    assert isinstance(plan, Plan)
    return plan


async def _followed(session: Session, plan_id: str, *, cancel_on_exit: bool = False) -> Exit:
    try:
        plan = await _shown(session, plan_id, cancel_on_exit=cancel_on_exit)
    except asyncio.CancelledError:
        say(f"\n{left('plan', plan_id, cancelled=cancel_on_exit)}")
        raise
    return {PlanState.SUCCEEDED: Exit.OK, PlanState.CANCELLED: Exit.CANCELLED}.get(plan.state, Exit.FAILED)


async def _shown(session: Session, plan_id: str, *, cancel_on_exit: bool) -> Plan:
    from devteam_cli.live import show_plan

    if session.output is Output.JSONL:
        async for event in session.client.watch_plan(plan_id, cancel_on_disconnect=cancel_on_exit):
            output.write_event(event)
        return await session.client.get_plan(plan_id)
    notes = console(sys.stderr)
    live = notes.is_terminal and not notes.is_dumb_terminal
    plan = await show_plan(session.client, plan_id, notes, live=live, cancel_on_exit=cancel_on_exit)
    outputs = {
        task.step_id: (await session.client.get_task(task.id)).output
        for task in plan.final_tasks
        if task.state is TaskState.SUCCEEDED
    }
    if session.output is Output.JSON:
        output.write_json({**output.members(plan), "outputs": outputs})
    else:
        _print_end(plan, outputs)
    return plan


def _print_end(plan: Plan, outputs: dict[str, str]) -> None:
    for step_id, text in outputs.items():
        title = f"--- {step_id} ---\n" if len(plan.final_tasks) > 1 else ""
        output.write(printable(f"{title}{text}").removesuffix("\n") + "\n")
    for task in plan.tasks:
        if task.state is TaskState.FAILED:
            say(f"error: step {task.step_id} failed: {render.note(task)}")
    ended = sum(task.state is TaskState.SUCCEEDED for task in plan.tasks)
    length = f" · {span(plan.ended_at - plan.created_at)}" if plan.ended_at and plan.created_at else ""
    say(f"{plan.id} {plan.state.value} · {ended} of {len(plan.tasks)} steps{length}", dim=True)
