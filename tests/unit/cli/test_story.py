"""What happened, out of two looks at the same thing."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from devteam_cli import happenings
from devteam_cli.happenings import KINDS, Happening
from devteam_cli.story import Story

from devteam.models import (
    CancelTrail,
    Completion,
    Failure,
    FailureReason,
    Plan,
    PlanState,
    Task,
    TaskState,
    Usage,
    WorkerInfo,
    WorkerStatus,
)
from devteam.routing import QueuePolicy, Routing
from devteam.sightings import TasksSeen, WorkersSeen
from devteam.specs import TaskSpec

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
LATER = NOON + timedelta(seconds=60)
SPEC = TaskSpec(prompt="", model="opus", queue="gpu")
DONE = Completion(provider="sim", model="opus-1", usage=Usage(input_tokens=5, output_tokens=9, cost_usd=0.25))
LOST = Failure(reason=FailureReason.WORKER_LOST, message="w1 vanished", usage=Usage(input_tokens=5))


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def task(state: TaskState = TaskState.PENDING, task_id: str = "t-1", **more: Any) -> Task:
    """A task of its own, unless the test says otherwise."""
    known: dict[str, Any] = {"plan_id": task_id, "step_id": "task", "spec": SPEC, "created_at": NOON, **more}
    return Task(id=task_id, state=state, **known)


def step(step_id: str, state: TaskState = TaskState.PENDING, **more: Any) -> Task:
    return task(state, f"p-1.{step_id}", **{"plan_id": "p-1", "step_id": step_id, "plan_name": "research", **more})


QUEUED = task(TaskState.QUEUED, attempt=1)
WAITING = replace(QUEUED, wait_reason="all slots are busy")
RUNNING = task(TaskState.RUNNING, attempt=1, worker_id="w1", placement_reason="in turn", started_at=at(2), queue="gpu")
AGAIN = replace(RUNNING, state=TaskState.QUEUED, failure=LOST)
SECOND = replace(RUNNING, attempt=2, worker_id="w2")
SUCCEEDED = replace(RUNNING, state=TaskState.SUCCEEDED, completion=DONE, ended_at=at(5))
FAILED = replace(SECOND, state=TaskState.FAILED, failure=LOST, ended_at=at(9))
STOPPING = replace(RUNNING, cancel_trail=CancelTrail(requested_at=at(4)))
BEHIND = step("b", depends_on=("a",))


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        (None, QUEUED, [(0, "task.queued", "opus in gpu")]),
        (None, WAITING, [(0, "task.queued", "opus in gpu"), (60, "task.waits", "all slots are busy")]),
        (None, RUNNING, [(0, "task.queued", "opus in gpu"), (2, "task.placed", "on w1: in turn")]),
        (None, BEHIND, []),
        (QUEUED, WAITING, [(60, "task.waits", "all slots are busy")]),
        (WAITING, WAITING, []),
        (WAITING, replace(WAITING, wait_reason="nobody serves it"), [(60, "task.waits", "nobody serves it")]),
        (WAITING, RUNNING, [(2, "task.placed", "on w1: in turn")]),
        (
            WAITING,
            replace(RUNNING, placement_reason="placed on w1 by round-robin because it is its turn"),
            [(2, "task.placed", "on w1 by round-robin because it is its turn")],
        ),
        (RUNNING, RUNNING, []),
        (RUNNING, replace(RUNNING, worker_id="w2"), [(60, "task.placed", "on w2: in turn")]),
        (RUNNING, AGAIN, [(60, "task.retried", "attempt 1 on w1 failed: worker_lost: w1 vanished; another follows")]),
        (
            RUNNING,
            task(TaskState.QUEUED, attempt=1, wait_reason="w1 drains"),
            [(60, "task.retried", "attempt 1 left w1: w1 drains")],
        ),
        (AGAIN, SECOND, [(60, "task.placed", "attempt 2 on w2: in turn")]),
        (
            RUNNING,
            SECOND,
            [
                (60, "task.retried", "attempt 1 on w1 is over; attempt 2 follows"),
                (60, "task.placed", "attempt 2 on w2: in turn"),
            ],
        ),
        (
            RUNNING,
            replace(WAITING, attempt=2),
            [
                (60, "task.retried", "attempt 1 on w1 is over; attempt 2 follows"),
                (60, "task.waits", "all slots are busy"),
            ],
        ),
        (
            RUNNING,
            SUCCEEDED,
            [(5, "task.succeeded", "worker w1 · opus-1 · 5 tokens in, 9 out, $0.2500 · 3.0 s")],
        ),
        (SECOND, FAILED, [(9, "task.failed", "worker_lost: w1 vanished")]),
        (RUNNING, STOPPING, [(4, "task.cancelling", "is asked to stop")]),
        (STOPPING, replace(STOPPING, state=TaskState.CANCELLED, ended_at=at(6)), [(6, "task.cancelled", "")]),
        (BEHIND, replace(BEHIND, state=TaskState.QUEUED, attempt=1), [(60, "task.queued", "opus in gpu")]),
        (BEHIND, replace(BEHIND, state=TaskState.SKIPPED, ended_at=at(7)), [(7, "task.skipped", "")]),
        (SUCCEEDED, SUCCEEDED, []),
    ],
)
def test_what_became_of_a_task(before: Task | None, now: Task, told: list[tuple[int, str, str]]) -> None:
    found = happenings.of_task(before, now, NOON, LATER)
    assert [(one.at, one.kind, one.text) for one in found] == [
        (at(seconds), kind, text) for seconds, kind, text in told
    ]


def test_an_end_says_what_it_took() -> None:
    """For programs."""
    [end] = happenings.of_task(RUNNING, SUCCEEDED, NOON, LATER)
    assert end.details == {"seconds": 3.0, "input_tokens": 5, "output_tokens": 9, "cost_usd": 0.25}
    assert (end.task_id, end.plan_id, end.worker_id, end.queue, end.attempt) == ("t-1", "", "w1", "gpu", 1)
    [end] = happenings.of_task(SECOND, FAILED, NOON, LATER)
    assert end.details == {
        "seconds": 7.0,
        "input_tokens": 5,
        "output_tokens": 0,
        "cost_usd": None,
        "reason": "worker_lost",
    }


def test_an_end_says_what_it_took_though_it_did_not_complete() -> None:
    cancelled = replace(STOPPING, state=TaskState.CANCELLED, usage=DONE.usage, ended_at=at(5))
    [end] = happenings.of_task(STOPPING, cancelled, NOON, LATER)
    assert end.details == {"seconds": 3.0, "input_tokens": 5, "output_tokens": 9, "cost_usd": 0.25}


def test_what_was_before_is_not_told() -> None:
    """Of a task that is seen for the first time."""
    assert [one.kind for one in happenings.of_task(None, SUCCEEDED, at(3), LATER)] == ["task.succeeded"]
    assert list(happenings.of_task(None, SUCCEEDED, at(6), LATER)) == []


WORKER = WorkerInfo(id="w1", registered_at=NOON, concurrency=2, queues=("gpu",), models=("opus",))


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        (None, WORKER, [(0, "worker.joined", "2 slots for gpu, models opus")]),
        (None, replace(WORKER, registered_at=at(-1)), []),
        (WORKER, replace(WORKER, active_tasks=2, last_heartbeat=LATER), []),
        (
            WORKER,
            replace(WORKER, status=WorkerStatus.SUSPECT, status_reason="its stream broke"),
            [(60, "worker.suspect", "its stream broke")],
        ),
        (replace(WORKER, status=WorkerStatus.LOST), WORKER, [(60, "worker.healthy", "again, was lost")]),
        (WORKER, replace(WORKER, status=WorkerStatus.CORDONED), [(60, "worker.cordoned", "")]),
        (
            WORKER,
            replace(WORKER, registered_at=at(9), concurrency=1),
            [(9, "worker.joined", "1 slot for gpu, models opus")],
        ),
    ],
)
def test_what_became_of_a_worker(before: WorkerInfo | None, now: WorkerInfo, told: list[tuple[int, str, str]]) -> None:
    found = happenings.of_worker(before, now, NOON, LATER)
    assert [(one.at, one.kind, one.text) for one in found] == [
        (at(seconds), kind, text) for seconds, kind, text in told
    ]


def kinds(told: list[Happening]) -> list[str]:
    return [f"{one.kind} {one.subject}".strip() for one in told]


def test_a_plan_begins_with_its_first_task_and_ends_with_its_last() -> None:
    """Seen as a whole."""
    story = Story(NOON)
    assert kinds(story.tasks(TasksSeen((step("a"), BEHIND), current=True), LATER)) == [
        "plan.began p-1",
        "task.queued p-1.a",
    ]
    ended = step("a", TaskState.SUCCEEDED, ended_at=at(5), started_at=at(1), worker_id="w1", attempt=1)
    assert kinds(story.tasks(TasksSeen((ended,), current=True), LATER)) == [
        "task.placed p-1.a",
        "task.succeeded p-1.a",
    ]
    skipped = replace(BEHIND, state=TaskState.SKIPPED, ended_at=at(6))
    told = story.tasks(TasksSeen((skipped,), current=True), LATER)
    assert kinds(told) == ["task.skipped p-1.b", "plan.failed p-1"]
    assert (told[-1].at, told[-1].text) == (at(6), "research · 1 of 2 steps · 6.0 s")
    assert story.tasks(TasksSeen((skipped,), current=True), LATER) == []


def test_the_end_of_a_plan_that_was_not_seen_whole_is_looked_up() -> None:
    """Its first steps ended before anybody looked."""
    story = Story(at(10))
    assert story.tasks(TasksSeen((step("b", TaskState.RUNNING, started_at=at(9)),), current=True), LATER) == []
    ended = step("b", TaskState.SUCCEEDED, started_at=at(9), ended_at=at(12))
    assert kinds(story.tasks(TasksSeen((ended,), current=True), LATER)) == ["task.succeeded p-1.b"]
    assert story.unsure == {"p-1"}
    first = step("a", TaskState.FAILED, ended_at=at(8))
    plan = Plan(id="p-1", name="research", state=PlanState.RUNNING, tasks=(first, ended))
    assert kinds(story.looked_up(plan)) == ["plan.failed p-1"]
    assert story.unsure == set()


def test_a_beginning_is_told_in_the_order_of_its_moments() -> None:
    """Once all of it is known: it comes in parts, ended tasks first."""
    story = Story(NOON)
    assert story.tasks(TasksSeen((SUCCEEDED,)), LATER) == []
    other = task(TaskState.RUNNING, "t-2", created_at=at(1), started_at=at(3), worker_id="w2", attempt=1)
    assert kinds(story.tasks(TasksSeen((other,), current=True), LATER)) == [
        "task.queued t-1",
        "task.queued t-2",
        "task.placed t-1",
        "task.placed t-2",
        "task.succeeded t-1",
    ]


def test_a_story_that_cannot_be_whole_begins_later() -> None:
    """A mesh tells of a thousand ends at most."""
    ends = [task(TaskState.SKIPPED, f"t-{n:04}", ended_at=at(n)) for n in range(5, 1005)]
    story = Story(NOON)
    told = story.tasks(TasksSeen(tuple(ends), current=True), LATER)
    assert story.since == at(5)
    assert len(told) == 1000
    assert {one.kind for one in told} == {"task.skipped"}


def test_a_broken_connection_is_told_and_what_was_missed_after_it() -> None:
    """What is gone, too; what was known is no news."""
    story = Story(NOON)
    story.tasks(TasksSeen((RUNNING, task(TaskState.QUEUED, "t-2")), current=True), LATER)
    assert kinds(story.tasks(TasksSeen(interrupted="gone"), LATER)) == ["mesh.interrupted"]
    assert story.tasks(TasksSeen((SUCCEEDED,)), LATER) == []
    assert kinds(story.tasks(TasksSeen((), current=True, removed=("t-2",)), LATER)) == [
        "mesh.back",
        "task.succeeded t-1",
        "task.gone t-2",
    ]


def test_a_registry_that_is_gone_is_told_as_well() -> None:
    """Of tasks all is heard meanwhile; what left in the dark has no reason."""
    story = Story(NOON)
    story.tasks(TasksSeen((RUNNING,), current=True), LATER)
    story.workers(WorkersSeen((WORKER, replace(WORKER, id="w2")), current=True), LATER)
    [lost] = story.workers(WorkersSeen(interrupted="refused"), LATER)
    assert (lost.kind, lost.text) == (
        "mesh.interrupted",
        "nothing is heard of workers: connection lost (refused); trying again",
    )
    assert kinds(story.tasks(TasksSeen((SUCCEEDED,), current=True), LATER)) == ["task.succeeded t-1"]
    assert story.workers(WorkersSeen((WORKER,)), LATER) == []
    back, left = story.workers(WorkersSeen(removed=("w2",), current=True), LATER)
    assert (back.kind, back.text) == ("mesh.back", "workers are heard of again, and what was missed is told")
    assert (left.subject, left.text) == ("w2", "left while nobody could tell why")


def test_workers_leave_and_queues_are_paused() -> None:
    """What there was at the beginning is no news."""
    story = Story(at(10))
    paused = Routing(queues=(QueuePolicy(name="gpu", paused=True), QueuePolicy(name="cpu")))
    assert story.workers(WorkersSeen((WORKER,), current=True, routing=paused), LATER) == []
    changed = Routing(queues=(QueuePolicy(name="cpu", paused=True),))
    assert kinds(story.workers(WorkersSeen(routing=changed), LATER)) == ["queue.paused cpu", "queue.resumed gpu"]
    [left] = story.workers(WorkersSeen(removed=("w1",), reasons={"w1": "no beat for 300 s"}), LATER)
    assert (left.kind, left.subject, left.text) == ("worker.left", "w1", "no beat for 300 s")


def test_every_kind_is_known_by_its_name() -> None:
    assert len(set(KINDS)) == len(KINDS)
    assert {"worker.healthy", "worker.lost", "task.placed"} <= set(KINDS)
