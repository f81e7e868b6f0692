"""`devteam task`: one prompt for one model."""

import asyncio
import sys
from typing import Annotated, Any

import typer

from devteam.models import Task, TaskState
from devteam_cli import output, render
from devteam_cli.arguments import CancelOnExit, Limit, TaskId, Wait
from devteam_cli.cancel_view import CancelView, left
from devteam_cli.completion import plan_ids
from devteam_cli.failures import Exit
from devteam_cli.output import Output
from devteam_cli.reminder import reminder
from devteam_cli.session import Session, connected, taking
from devteam_cli.stderr import say
from devteam_cli.task_options import asked, placed
from devteam_cli.task_view import TaskView
from devteam_cli.text import printable

app = typer.Typer(help="Run one prompt on one model.", no_args_is_help=True)

RequestId = Annotated[str | None, typer.Option(help="The same id never makes a second task.")]


@app.command("run")
@connected
@taking(asked, placed)
async def run(
    session: Session,
    ask: dict[str, Any],
    *,
    request_id: RequestId = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="As `create`.")] = False,
    cancel_on_exit: CancelOnExit = False,
) -> Exit:
    """Ask, and print the answer as it comes."""
    task = await session.client.create_task(**ask, request_id=request_id)
    if detach:
        return _show_created(session, task)
    return await _followed(session, task.id, cancel_on_exit=cancel_on_exit)


@app.command("create")
@connected
@taking(asked, placed)
async def create(session: Session, ask: dict[str, Any], *, request_id: RequestId = None) -> Exit:
    """Submit a task and print its id."""
    return _show_created(session, await session.client.create_task(**ask, request_id=request_id))


@app.command("get")
@connected
async def get(session: Session, task_id: TaskId) -> None:
    """Show one task and its answer."""
    task = await session.client.get_task(task_id)
    if not session.is_text:
        output.write_item(session.output, task)
        return
    session.show(render.task_details(task))
    if task.output:
        output.write(f"\n{printable(task.output)}\n")


@app.command("list")
@connected
async def list_tasks(
    session: Session,
    *,
    state: Annotated[TaskState | None, typer.Option(help="Only tasks in this state.")] = None,
    plan: Annotated[str | None, typer.Option(help="The steps of this plan.", autocompletion=plan_ids)] = None,
    limit: Limit = 50,
) -> None:
    """Show tasks, the newest first."""
    tasks = await session.client.list_tasks(state=state, plan_id=plan, limit=limit)
    if not session.is_text:
        output.write_items(session.output, tasks)
    elif tasks:
        session.show(render.tasks_table(tasks))
    else:
        say("no tasks")


@app.command("watch")
@connected
async def watch(session: Session, task_id: TaskId) -> Exit:
    """Follow a task to its end, as `run` does."""
    return await _followed(session, task_id)


@app.command("cancel")
@connected
async def cancel(session: Session, task_id: TaskId, *, wait: Wait = False) -> None:
    """Stop a task: the connection to its model is closed."""
    task = await session.client.cancel_task(task_id)
    if wait:
        task = await _stopped(session, task_id)
    if session.is_text:
        say(f"{task.id} is {task.state.value}" if task.state.ended else f"{task.id} is asked to stop")
    else:
        output.write_item(session.output, task)


def _show_created(session: Session, task: Task) -> Exit:
    if session.is_text:
        output.write(f"{task.id}\n")
    else:
        output.write_item(session.output, task)
    return Exit.OK


async def _stopped(session: Session, task_id: str) -> Task:
    view = CancelView()
    if session.is_text:
        await view.follow(session.client.watch_task(task_id))
        view.say([await session.client.get_task(task_id)])  # news may be slower than the end
    task = await session.client.wait(task_id)
    assert isinstance(task, Task)
    return task


async def _followed(session: Session, task_id: str, *, cancel_on_exit: bool = False) -> Exit:
    try:
        task = await _shown(session, task_id, cancel_on_exit=cancel_on_exit)
    except asyncio.CancelledError:
        say(f"\n{left('task', task_id, cancelled=cancel_on_exit)}")
        raise
    return {TaskState.SUCCEEDED: Exit.OK, TaskState.CANCELLED: Exit.CANCELLED}.get(task.state, Exit.FAILED)


async def _shown(session: Session, task_id: str, *, cancel_on_exit: bool) -> Task:
    streams = session.is_text and sys.stdout.isatty()
    view = TaskView(streams=streams, thinks=streams and sys.stderr.isatty())
    with reminder(view.remind):
        async for event in session.client.watch_task(task_id, cancel_on_disconnect=cancel_on_exit):
            if session.output is Output.JSONL:
                output.write_event(event)
            else:
                view.show(event)
    task = await session.client.get_task(task_id)
    if session.output is Output.JSON:
        output.write_json(task)
    elif session.is_text:
        view.finish(task)
    if task.failure and task.state is TaskState.FAILED:
        say(f"error: the task failed: {render.note(task)}")
    return task
