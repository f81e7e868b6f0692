"""Whoever waits for a task or a plan that does not begin is told so after a while."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from devteam_cli import reminder, session
from devteam_cli.output import Output
from devteam_cli.plan import _shown as plan_shown
from devteam_cli.task import _shown as task_shown

from devteam.events import Event, PlanChanged, TaskChanged
from devteam.models import Plan, PlanState, Task, TaskState
from devteam.specs import TaskSpec

TASK = Task(id="t", plan_id="t", step_id="task", state=TaskState.PENDING, spec=TaskSpec(prompt="p", model="m"))
PLAN = Plan(id="p", name="research", state=PlanState.PENDING, tasks=())


class Idle:
    """A mesh that accepted something and does not begin it."""

    async def watch_task(self, *_: object, **__: object) -> AsyncGenerator[Event, None]:
        yield TaskChanged(TASK)
        await asyncio.Event().wait()

    async def watch_plan(self, *_: object, **__: object) -> AsyncGenerator[Event, None]:
        yield PlanChanged(PLAN)
        await asyncio.Event().wait()


@pytest.mark.parametrize("shown", [task_shown, plan_shown])
@pytest.mark.parametrize("form", [Output.TABLE, Output.JSON])
async def test_a_command_says_what_it_waits_for(
    shown: Any, form: Output, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On stderr, whatever goes to stdout."""
    monkeypatch.setattr(reminder, "_AFTER", 0.01)
    waiting = asyncio.create_task(shown(session.Session(Idle(), form), "x", cancel_on_exit=False))  # type: ignore[arg-type]
    said = ""
    async with asyncio.timeout(60):
        while "waits: " not in said:
            assert not waiting.done(), waiting
            await asyncio.sleep(0)
            out, err = capsys.readouterr()
            said += err
            assert out == ""
    waiting.cancel()
    await asyncio.wait([waiting])


async def test_nobody_is_reminded_of_what_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reminder, "_AFTER", 0.0)
    over, within = asyncio.Event(), asyncio.Event()
    with reminder.reminder(over.set):
        pass
    with reminder.reminder(within.set):
        async with asyncio.timeout(60):
            await within.wait()
    assert not over.is_set()
