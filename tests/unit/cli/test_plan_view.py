"""A plan as it goes on."""

import io
from dataclasses import replace

import pytest
from devteam_cli import live
from devteam_cli.plan_view import PlanView
from rich.console import Console

from devteam.events import AttemptStarted, Gap, Interrupted, PlanChanged, TaskChanged, TextToken, Tokens
from devteam.models import Failure, FailureReason, Plan, PlanState, Task, TaskState
from devteam.specs import TaskSpec


def step(name: str, state: TaskState = TaskState.PENDING, *depends_on: str, **more: str | int | Failure) -> Task:
    spec = TaskSpec(prompt="p", model="m")
    return Task(id=f"p.{name}", plan_id="p", step_id=name, state=state, spec=spec, depends_on=depends_on, **more)  # type: ignore[arg-type]  # fields of Task


def plan(*tasks: Task, state: PlanState = PlanState.RUNNING) -> Plan:
    return Plan(id="p", name="research", state=state, tasks=tasks)


@pytest.fixture
def view() -> PlanView:
    begun = PlanView()
    begun.apply(PlanChanged(plan(step("a", TaskState.QUEUED), step("b", TaskState.PENDING, "a"))))
    return begun


def drawn(view: PlanView, *, width: int = 60, height: int = 20) -> list[str]:
    """The lines of the live tree, without colours."""
    console = Console(file=io.StringIO(), width=width, height=height, color_system=None)
    with console.capture() as capture:
        console.print(live._tree(view, console))
    return [line.rstrip() for line in capture.get().splitlines()]


def test_a_line_is_told_for_each_change(view: PlanView) -> None:
    """And none for what changes nothing that a reader sees."""
    running = step("a", TaskState.RUNNING, worker_id="w1", attempt=1)
    failure = Failure(reason=FailureReason.HANDLER, message="boom")
    told = [
        view.apply(event)
        for event in (
            AttemptStarted("p.a", "a", 1, "first attempt"),
            TaskChanged(running),
            TaskChanged(replace(running, placement_reason="the tightest fit")),
            Tokens("p.a", "a", 1, 1, (TextToken("x"),)),
            AttemptStarted("p.a", "a", 2, "worker w1 was lost"),
            Gap("p.a", "a", 2, 1, 3),
            Interrupted("refused"),
            TaskChanged(replace(running, state=TaskState.FAILED, failure=failure)),
            TaskChanged(step("b", TaskState.SKIPPED, "a")),
            PlanChanged(plan(state=PlanState.FAILED)),
        )
    ]
    assert [line for line in told if line] == [
        "a: running on w1",
        "a: attempt 2: worker w1 was lost",
        "a: tokens 1 to 3 can no longer be had",
        "connection lost (refused); trying again",
        "a: failed: handler: boom",
        "b: skipped",
        "research (p): failed",
    ]


def test_the_first_line_names_the_plan() -> None:
    assert PlanView().apply(PlanChanged(plan(step("a")))) == "research (p): running"


def test_a_plan_that_does_not_begin_says_what_it_waits_for() -> None:
    """In a line, or beside its name in the tree; once it has begun, its steps say it."""
    view = PlanView()
    assert view.remind() == ""
    view.apply(PlanChanged(plan(step("a"), state=PlanState.PENDING)))
    waits = "waits: Temporal begins it, and has not; see `devteam doctor` if that takes long"
    assert view.remind() == waits
    assert drawn(view, width=120)[0] == f"research pending  {waits}"
    view.apply(PlanChanged(plan(step("a", TaskState.QUEUED))))
    assert view.remind() == ""


def test_a_new_attempt_clears_what_the_step_said(view: PlanView) -> None:
    view.apply(Tokens("p.a", "a", 1, 1, (TextToken("x"), TextToken("y"))))
    assert (view.steps["p.a"].tokens, view.steps["p.a"].text) == (2, "xy")
    view.apply(AttemptStarted("p.a", "a", 2, "lost"))
    assert (view.steps["p.a"].tokens, view.steps["p.a"].text) == (0, "")


def test_a_step_keeps_only_the_end_of_what_it_said(view: PlanView) -> None:
    """However long the answer becomes."""
    view.apply(Tokens("p.a", "a", 1, 1, (TextToken("x" * 5000), TextToken("end"))))
    assert len(view.steps["p.a"].text) == 1000
    assert view.steps["p.a"].text.endswith("xend")


def test_tokens_before_the_plan_are_no_trouble() -> None:
    """A plan that had ended is told last."""
    view = PlanView()
    assert view.apply(AttemptStarted("p.a", "a", 1, "first attempt")) == ""
    assert view.apply(Tokens("p.a", "a", 1, 1, (TextToken("x"),))) == ""
    assert drawn(view) == ["..."]


def test_the_tree_shows_each_step_and_what_it_says(view: PlanView) -> None:
    """The running one with worker, attempt, tokens and the end of its text."""
    view.apply(TaskChanged(step("a", TaskState.RUNNING, worker_id="w1", attempt=2)))
    view.apply(Tokens("p.a", "a", 2, 1, (TextToken("rising\n"), TextToken("tides \x1b[2J"))))
    assert drawn(view) == [
        "research running",
        "├── ▶ a running on w1, attempt 2, 2 tokens",
        "│   rising tides",
        "└── · b pending after a",
    ]


def test_the_tree_shows_trouble_while_it_lasts(view: PlanView) -> None:
    view.apply(Interrupted("refused"))
    assert drawn(view)[0] == "research running  connection lost (refused); trying again"
    view.apply(TaskChanged(step("a", TaskState.RUNNING, worker_id="w1")))
    assert drawn(view)[0] == "research running"


def test_a_plan_taller_than_the_screen_shows_what_moves() -> None:
    """And says how much it leaves out."""
    tasks = [step(f"s{i}", TaskState.RUNNING if i in {30, 40} else TaskState.PENDING, worker_id="w") for i in range(50)]
    view = PlanView()
    view.apply(PlanChanged(plan(*tasks)))
    lines = drawn(view, height=9)
    assert [line.split()[2] for line in lines[1:-1]] == ["s0", "s30", "s40"]
    assert lines[-1] == "└── and 47 more"


def test_words_of_others_cannot_draw_on_the_screen(view: PlanView) -> None:
    """Not even through a plan's name or a failure's message."""
    failure = Failure(reason=FailureReason.HANDLER, message="\x1b[2Jboom [bold]")
    view.apply(TaskChanged(step("a", TaskState.FAILED, failure=failure)))
    assert drawn(view)[1] == "├── ✗ a failed: handler: boom [bold]"
