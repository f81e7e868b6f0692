"""What about a mesh needs attention, and with which remedy."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from devteam_cli.concerns import Concern, concerns
from devteam_cli.overview import Overview, Wait

from devteam import (
    Dependency,
    DependencyState,
    Explanation,
    QueueInfo,
    ServiceStatus,
    Task,
    TaskSpec,
    TaskState,
    WaitReason,
    WorkerInfo,
    Workers,
    WorkerStatus,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SOON = NOW + timedelta(seconds=49)


def seen(**parts: Any) -> Overview:
    return Overview(url="http://mesh:7400", **{"workers": Workers(), **parts})


def found(**parts: Any) -> list[Concern]:
    return concerns(seen(**parts), NOW)


def a_task(task_id: str, state: TaskState = TaskState.RUNNING, worker_id: str = "asus") -> Task:
    spec = TaskSpec(prompt="p", model="opus")
    return Task(id=task_id, plan_id=task_id, step_id="task", state=state, spec=spec, worker_id=worker_id)


def test_nothing_needs_attention_where_all_is_well() -> None:
    """A queue that waits for busy workers is at work, and a fleet that was scaled to nothing waits for it."""
    busy = QueueInfo(name="default", waiting=9, running=4, slots=4, workers=1)
    workers = Workers([WorkerInfo(id="asus"), WorkerInfo(id="laptop", status=WorkerStatus.DRAINING)])
    assert found(workers=workers, queues=[busy], running=[a_task("t-1"), a_task("t-2", worker_id="laptop")]) == []
    assert found(queues=[QueueInfo(name="default")]) == []


def test_services_come_first_then_what_they_stand_on() -> None:
    away = Dependency(
        name="temporal",
        address="127.0.0.1:7233",
        state=DependencyState.AWAY,
        detail="it does not answer: see whether it runs",
        since=NOW - timedelta(minutes=3),
    )
    planner = ServiceStatus(name="planner", version="1", dependencies=(away,))
    router = ServiceStatus(name="router", problem="cannot reach it")
    queue = QueueInfo(name="gpu-queue", waiting=12)
    assert found(services=[planner, router], queues=[queue]) == [
        Concern("router", "cannot be asked: cannot reach it", "see whether it runs: `devteam doctor`"),
        Concern(
            "planner",
            "temporal at 127.0.0.1:7233 has been away for 3 min",
            "it does not answer: see whether it runs",
        ),
        Concern(
            "queue gpu-queue",
            "12 wait and no worker serves it",
            "start one with `devteam-worker start --queue gpu-queue`",
        ),
    ]


@pytest.mark.parametrize(
    ("queue", "said", "remedy"),
    [
        (QueueInfo(name="q", waiting=1, paused=True), "1 waits and the queue is paused", "devteam queue resume q"),
        (QueueInfo(name="q", waiting=2, workers=1), "2 wait and its only worker takes no work", "workers --queue q"),
        (QueueInfo(name="q", waiting=2, workers=3), "2 wait and none of its 3 workers takes work", "workers --queue q"),
    ],
)
def test_a_queue_of_which_nothing_can_start(queue: QueueInfo, said: str, remedy: str) -> None:
    [concern] = found(queues=[queue])
    assert (concern.subject, concern.said) == ("queue q", said)
    assert remedy in concern.remedy


@pytest.mark.parametrize("status", [WorkerStatus.SUSPECT, WorkerStatus.UNHEALTHY, WorkerStatus.LOST])
def test_running_with_nobody_running_it_is_pointed_out(status: WorkerStatus) -> None:
    """With what becomes of it; the worker is a concern of its own."""
    ill = WorkerInfo(
        id="asus", status=status, status_reason="no beat for 71 s", next_status=WorkerStatus.LOST, next_status_at=SOON
    )
    tasks = [a_task("t-1"), a_task("t-2"), a_task("t-3", worker_id="well")]
    task, worker = found(workers=Workers([ill, WorkerInfo(id="well")]), running=tasks)
    assert task.subject == "2 tasks, such as t-1"
    assert task.said == f"shown as running on asus, which is {status.value} (no beat for 71 s)"
    assert "comes back within 49 s" in task.remedy
    assert worker.said == f"{status.value} (no beat for 71 s); lost in 49 s"
    assert "devteam-worker doctor" in worker.remedy


def test_many_workers_that_fell_silent_together_are_one_concern_of_each_state() -> None:
    """And so is what they are shown to run: the screen is one screen."""
    ill = [WorkerInfo(id=f"w{n}", status=WorkerStatus.UNHEALTHY, status_reason="no beat for 71 s") for n in range(200)]
    lost = [WorkerInfo(id="x", status=WorkerStatus.LOST)]
    tasks, workers, other = found(
        workers=Workers([*ill, *lost]), running=[a_task(f"t-{n}", worker_id=f"w{n // 2}") for n in range(400)]
    )
    assert (tasks.subject, workers.subject, other.subject) == (
        "400 tasks, such as t-0",
        "200 workers, such as w0",
        "worker x",
    )
    assert tasks.said.startswith("shown as running on 200 workers")
    assert workers.said == "unhealthy (no beat for 71 s)"


def begun_never(task_id: str, ago: float) -> Task:
    return replace(a_task(task_id, TaskState.PENDING, ""), created_at=NOW - timedelta(seconds=ago))


def test_tasks_that_do_not_begin_are_pointed_out() -> None:
    """By the Planner's clock; those that were just created are on their way."""
    tasks = [begun_never("t-1", 5), begun_never("t-2", 120), begun_never("t-3", 11)]
    [concern] = found(not_begun=tasks)
    assert concern.subject == "2 tasks, such as t-2"
    assert concern.said == "not begun for 2 min, though nothing is waited for"
    assert "Temporal" in concern.remedy
    behind = ServiceStatus(name="planner", clock_ahead=timedelta(seconds=-115), clock_margin=timedelta(minutes=5))
    assert found(not_begun=tasks, services=[behind]) == []


def test_a_task_of_a_worker_that_nobody_knows_is_pointed_out() -> None:
    [concern] = found(running=[a_task("t-1", worker_id="gone")])
    assert concern.subject == "task t-1"
    assert concern.said == "shown as running on gone, which is not registered: perhaps nobody runs it"
    assert "`devteam explain t-1`" in concern.remedy


def test_where_workers_could_not_be_seen_nothing_is_said_of_them() -> None:
    """What a service's own problem explains is said once."""
    registry = ServiceStatus(name="registry", problem="it drains")
    found_ = found(
        workers=None, running=[a_task("t-1")], services=[registry], unseen={"workers": "it drains", "plans": "no"}
    )
    assert [(concern.subject, concern.said) for concern in found_] == [
        ("registry", "cannot be asked: it drains"),
        ("plans", "could not be looked at: no"),
    ]


def waits(reason: WaitReason, queue: str = "default") -> list[Wait]:
    explanation = Explanation(reason="no worker in default serves the model opus", queue=queue, wait_reason=reason)
    return [Wait(a_task("t-1", TaskState.QUEUED), explanation)]


def test_what_waits_in_vain_is_pointed_out_unless_its_queue_was() -> None:
    """What only takes time is not."""
    [concern] = found(waits=waits(WaitReason.NO_WORKER_SERVES_MODEL))
    assert (concern.subject, concern.said) == ("task t-1", "waits: no worker in default serves the model opus")
    assert found(waits=waits(WaitReason.PROVIDER_THROTTLED)) == []
    [named] = found(waits=waits(WaitReason.NO_WORKER_IN_QUEUE), queues=[QueueInfo(name="default", waiting=1)])
    assert named.subject == "queue default"


def test_the_registrys_notice_is_a_concern() -> None:
    [concern] = found(workers=Workers(notice="deaths are frozen: 6 of 10 workers fell silent together"))
    assert concern.said == "deaths are frozen: 6 of 10 workers fell silent together"


@pytest.mark.parametrize(
    ("ahead", "margin", "said"),
    [
        (2.0, 0.1, "its clock is 2.0 s ahead of this machine's"),
        (-3600.0, 0.1, "its clock is 60 min behind this machine's"),
        (0.9, 0.0, None),
        (2.0, 1.5, None),
    ],
)
def test_a_clock_that_is_wrong_beyond_doubt(ahead: float, margin: float, said: str | None) -> None:
    service = ServiceStatus(name="router", clock_ahead=timedelta(seconds=ahead), clock_margin=timedelta(seconds=margin))
    assert [concern.said for concern in found(services=[service])] == ([said] if said else [])


def test_services_of_different_versions() -> None:
    services = [ServiceStatus(name="registry", version="1.0"), ServiceStatus(name="router", version="1.1")]
    [concern] = found(services=services)
    assert concern.said == "services differ: registry 1.0, router 1.1"
    assert found(services=services[:1]) == []
