"""Why a task waits, or why it runs where it runs, as people read it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from devteam_cli.explain_view import candidates_table, facts, headline, known_of

from devteam.models import Candidate, Explanation, Task, TaskState, WaitReason
from devteam.specs import Strategy, TaskSpec
from tests.unit.cli.drawing import drawn

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
WAITS = Explanation(
    reason="anthropic asked for patience", queue="gpu", wait_reason=WaitReason.PROVIDER_THROTTLED,
    until=NOW + timedelta(seconds=41),
)  # fmt: skip
PLACED = Explanation(
    reason="the tightest fit", queue="gpu", worker_id="w2", strategy=Strategy.CAPABILITY_MATCH, eligible=3, tied=2,
    waited=timedelta(seconds=1.5),
)  # fmt: skip
FREE = Explanation(
    reason="",
    candidates=(
        Candidate(worker_id="w1", queue="cpu", rejected_because="no GPU"),
        Candidate(worker_id="w2", queue="gpu", merits="1 of 4 slots taken", active=1, capacity=4, score=0.5, alike=482),
    ),
)


@pytest.mark.parametrize(
    ("explanation", "submitted", "line"),
    [
        (WAITS, True, "waits (queue gpu): anthropic asked for patience"),
        (WAITS, False, "would wait (queue gpu): anthropic asked for patience"),
        (PLACED, True, "runs on w2 (queue gpu): the tightest fit"),
        (PLACED, False, "would run on w2 (queue gpu): the tightest fit"),
        (FREE, False, "could start now on w2 (queue gpu): 1 of 4 slots taken"),
        (Explanation(reason=""), False, "could start now"),
    ],
)
def test_the_first_line_says_how_it_stands(explanation: Explanation, submitted: bool, line: str) -> None:
    assert headline(explanation, submitted=submitted) == line


def a_task(state: TaskState, **more: Any) -> Task:
    spec = TaskSpec(prompt="", model="opus", queue="gpu")
    return Task(id="p-1.c", plan_id="p-1", step_id="c", state=state, spec=spec, **more)


@pytest.mark.parametrize(
    ("task", "line"),
    [
        (
            a_task(TaskState.SUCCEEDED, worker_id="w2", queue="cpu", placement_reason="the tightest fit"),
            "succeeded, ran on w2 (queue cpu): the tightest fit",
        ),
        (a_task(TaskState.SKIPPED), "skipped, and no worker ran it"),
        (a_task(TaskState.RUNNING, worker_id="w2", placement_reason="in turn"), "runs on w2: in turn"),
        (a_task(TaskState.PENDING, depends_on=("a",)), "waits (queue gpu): it begins when a has succeeded"),
        (a_task(TaskState.PENDING, depends_on=("a", "b")), "waits (queue gpu): it begins when a, b have succeeded"),
        (
            a_task(TaskState.PENDING),
            "waits (queue gpu): its plan has not begun; Temporal begins it: see `devteam doctor` if that takes long",
        ),
        (a_task(TaskState.QUEUED, wait_reason="all slots are busy"), "waits (queue gpu): all slots are busy"),
        (a_task(TaskState.QUEUED), "waits (queue gpu): no Router holds it now; ask again in a few seconds"),
    ],
)
def test_what_no_router_holds_is_told_out_of_the_task(task: Task, line: str) -> None:
    assert headline(known_of(task), task, submitted=True) == line


def test_what_a_router_remembers_of_a_task_that_has_ended_is_past() -> None:
    assert headline(PLACED, a_task(TaskState.FAILED), submitted=True).startswith("failed, ran on w2 (queue gpu)")


def test_a_wait_that_ends_by_itself_says_when() -> None:
    reason, until = drawn(facts(WAITS, NOW))
    assert reason == "reason provider throttled"
    assert until.startswith("until ")
    assert until.endswith(" (in 41 s)")


def test_a_decision_says_how_it_was_made() -> None:
    assert drawn(facts(PLACED)) == [
        "strategy capability-match",
        "could have run it 3 with a free slot",
        "equally good 2, one of them drawn by lot",
        "waited 1.5 s",
    ]


def test_what_is_not_known_is_not_said() -> None:
    """Nor is a lot drawn among one."""
    assert facts(Explanation(reason="r", wait_reason=WaitReason.UNKNOWN, tied=1)).row_count == 0


def test_workers_stand_for_all_that_are_like_them() -> None:
    """With what the strategy made of them, or with the filter that removed them."""
    assert drawn(candidates_table(FREE)) == [
        "WORKER QUEUE ACTIVE/CAP SCORE MERITS VERDICT",
        "w1 cpu 0/0 - no GPU",
        "w2 and 481 like it gpu 1/4 0.5 1 of 4 slots taken could take it",
    ]


def test_nothing_that_a_terminal_obeys_is_shown() -> None:
    evil = Explanation(reason="\x1b[2Jgone", candidates=(Candidate(worker_id="w\x1b[1m", merits="\x9b31mred"),))
    assert headline(evil, submitted=True) == "could start now on w: gone"
    assert drawn(candidates_table(evil))[1] == "w 0/0 0 31mred could take it"
