"""One task as it goes on."""

from dataclasses import replace

import pytest
from devteam_cli.render import summary
from devteam_cli.task_view import TaskView

from devteam.events import (
    AttemptStarted,
    Gap,
    Interrupted,
    ProgressToken,
    TaskChanged,
    TextToken,
    ThinkingToken,
    Token,
    Tokens,
    ToolCall,
    ToolResult,
)
from devteam.models import Completion, Task, TaskState, Usage
from devteam.specs import TaskSpec

SPEC = TaskSpec(prompt="p", model="haiku")


def done(output: str) -> Task:
    usage = Usage(input_tokens=3, output_tokens=2)
    completion = Completion(provider="sim", model="sim", usage=usage)
    return Task(
        id="t",
        plan_id="t",
        step_id="task",
        state=TaskState.SUCCEEDED,
        spec=SPEC,
        worker_id="w1",
        output=output,
        completion=completion,
    )


def said(*tokens: Token) -> Tokens:
    return Tokens("t", "task", 1, 1, tokens)


def test_what_it_cost_is_told_where_that_is_known() -> None:
    task = done("Hello")
    assert task.completion is not None
    usage = replace(task.completion.usage, cost_usd=0.01234)
    assert "2 out, $0.0123" in summary(replace(task, completion=replace(task.completion, usage=usage)))


def test_what_a_task_took_is_told_though_it_did_not_complete() -> None:
    task = done("Hello")
    stopped = replace(task, state=TaskState.CANCELLED, completion=None, usage=Usage(input_tokens=3, cost_usd=0.5))
    assert summary(stopped) == "cancelled · worker w1 · 3 tokens in, 0 out, $0.5000"


def test_a_terminal_shows_the_answer_as_it_comes(capsys: pytest.CaptureFixture[str]) -> None:
    """Each token at once, the end of the line at the end, the rest on stderr."""
    view = TaskView(streams=True, thinks=False)
    view.show(said(TextToken("Hel")))
    assert capsys.readouterr() == ("Hel", "")
    view.show(said(TextToken("lo")))
    view.finish(done("Hello"))
    assert capsys.readouterr() == ("lo\n", "succeeded · worker w1 · sim · 3 tokens in, 2 out\n")


def test_elsewhere_the_answer_is_written_once_it_is_final(capsys: pytest.CaptureFixture[str]) -> None:
    """What a lost worker said never reaches the file."""
    view = TaskView(streams=False, thinks=False)
    view.show(said(TextToken("Hal")))
    view.show(AttemptStarted("t", "task", 2, "worker w0 was lost"))
    view.show(said(TextToken("Hello")))
    view.finish(done("Hello"))
    shown = capsys.readouterr()
    assert shown.out == "Hello\n"
    assert shown.err.splitlines()[0] == "attempt 2: worker w0 was lost; the answer starts again"


def test_a_new_attempt_starts_on_a_new_line(capsys: pytest.CaptureFixture[str]) -> None:
    view = TaskView(streams=True, thinks=False)
    view.show(AttemptStarted("t", "task", 1, "first attempt"))
    view.show(said(TextToken("Hal")))
    view.show(AttemptStarted("t", "task", 2, "worker w0 was lost"))
    view.show(said(TextToken("Hello")))
    view.finish(done("Hello"))
    assert capsys.readouterr().out == "Hal\nHello\n"


def test_thinking_and_answer_do_not_share_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    view = TaskView(streams=True, thinks=True)
    view.show(said(ThinkingToken("let me "), ThinkingToken("see"), TextToken("Yes"), TextToken(".")))
    view.finish(done("Yes."))
    shown = capsys.readouterr()
    assert shown.out == "Yes.\n"
    assert shown.err.startswith("let me see\n")


def test_an_answer_with_a_gap_is_shown_whole_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    view = TaskView(streams=True, thinks=False)
    view.show(said(TextToken("Hel")))
    view.show(Gap("t", "task", 1, 2, 2))
    view.show(said(TextToken("world")))
    view.finish(done("Hello world"))
    shown = capsys.readouterr()
    assert shown.out == "Hel\nworld\nHello world\n"
    assert shown.err.startswith("tokens 2 to 2 can no longer be had\n")


def test_tools_are_told_in_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    """Calls always, results only when they failed."""
    view = TaskView(streams=False, thinks=False)
    view.show(said(ProgressToken("pulling: 42 %")))
    view.show(said(ToolCall("1", "web", '{"q": "tides"}'), ToolResult("1", "found it")))
    view.show(said(ToolCall("2", "web", "{}"), ToolResult("2", "no network\x1b[2J", is_error=True)))
    assert capsys.readouterr().err.splitlines() == [
        "pulling: 42 %",
        'tool web {"q": "tides"}',
        "tool web {}",
        "tool failed: no network",
    ]


def test_waiting_is_told_once_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    view = TaskView(streams=False, thinks=False)
    for reason in ("", "all 4 slots are busy", "all 4 slots are busy", "no worker serves opus"):
        waiting = Task(id="t", plan_id="t", step_id="task", state=TaskState.QUEUED, spec=SPEC, wait_reason=reason)
        view.show(TaskChanged(waiting))
    assert capsys.readouterr().err.splitlines() == ["waits: all 4 slots are busy", "waits: no worker serves opus"]


@pytest.mark.parametrize(
    ("state", "depends_on", "told"),
    [
        (
            TaskState.PENDING,
            (),
            ["waits: its plan has not begun; Temporal begins it: see `devteam doctor` if that takes long"],
        ),
        (TaskState.PENDING, ("a",), ["waits: it begins when a has succeeded"]),
        # What is queued says itself why, as soon as a Router has looked at it.
        (TaskState.QUEUED, (), []),
        (TaskState.RUNNING, (), []),
    ],
)
def test_who_was_not_told_what_it_waits_for_is_reminded_of_it(
    state: TaskState, depends_on: tuple[str, ...], told: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    view = TaskView(streams=False, thinks=False)
    view.remind()
    view.show(TaskChanged(Task(id="t", plan_id="t", step_id="task", state=state, spec=SPEC, depends_on=depends_on)))
    view.remind()
    assert capsys.readouterr().err.splitlines() == told


def test_who_was_told_is_not_told_again(capsys: pytest.CaptureFixture[str]) -> None:
    view = TaskView(streams=False, thinks=False)
    waiting = Task(
        id="t", plan_id="t", step_id="task", state=TaskState.QUEUED, spec=SPEC, wait_reason="nobody is there"
    )
    view.show(TaskChanged(waiting))
    view.remind()
    assert capsys.readouterr().err.splitlines() == ["waits: nobody is there"]


def test_a_broken_connection_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    TaskView(streams=False, thinks=False).show(Interrupted("Connection refused"))
    assert capsys.readouterr().err == "connection lost (Connection refused); trying again\n"


def test_escapes_in_the_answer_are_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Nor do they make the answer look different from what was streamed."""
    view = TaskView(streams=True, thinks=False)
    view.show(said(TextToken("\x1b[31mred\x1b[0m\n")))
    view.finish(done("\x1b[31mred\x1b[0m\n"))
    assert capsys.readouterr().out == "red\n"
