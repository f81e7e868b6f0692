"""What `devteam top` shows on screens of several sizes."""

from datetime import UTC, datetime, timedelta

import pytest
from devteam_cli.columns import Column, lines
from devteam_cli.pace import Pace
from devteam_cli.top_frame import frame
from devteam_cli.top_view import TopView

from devteam.models import QueueInfo, Task, TaskState, Vitals, WorkerInfo, WorkerStatus
from devteam.sightings import TaskProgress, TasksSeen, WorkersSeen
from devteam.specs import TaskSpec

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
GIB = 10**9


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def task(number: int, state: TaskState, *, model: str = "opus", **more: object) -> Task:
    spec = TaskSpec(prompt="", model=model, queue="gpu")
    known: dict[str, object] = {"plan_id": f"t-{number}", "created_at": at(-number), "attempt": 1, **more}
    return Task(id=f"t-{number}", step_id="task", state=state, spec=spec, **known)  # type: ignore[arg-type]  # as given


def running(number: int, worker_id: str) -> Task:
    return task(number, TaskState.RUNNING, worker_id=worker_id, queue="gpu", started_at=at(-number))


def busy_view(workers: int = 12, waits: int = 30) -> TopView:
    """A mesh with more of everything than an ordinary terminal has lines."""
    view = TopView()
    vitals = Vitals(memory_available=3 * GIB, memory_total=8 * GIB)
    fleet = [
        WorkerInfo(
            id=f"worker-{number:02}", concurrency=4, queues=("gpu", "default"), resident_models=("ollama:llama3.3",),
            local_models=("ollama:llama3.3",), vitals=vitals, last_heartbeat=at(-number),
        )
        for number in range(1, workers)
    ]  # fmt: skip
    ill = WorkerInfo(
        id="zeus", status=WorkerStatus.SUSPECT, status_reason="its stream to router-1 broke 3 s ago",
        next_status=WorkerStatus.LOST, next_status_at=at(7), queues=("cpu",), last_heartbeat=at(-31),
    )  # fmt: skip
    view.see_workers(WorkersSeen((*fleet, ill), current=True))
    reason = "all 44 slots of gpu are busy; 12 tasks are before it"
    waiting = tuple(task(100 + number, TaskState.QUEUED, wait_reason=reason) for number in range(waits))
    pending = task(900, TaskState.PENDING, attempt=0, depends_on=("a",))
    runs = (running(5, "worker-01"), running(3, "worker-01"), running(75, "worker-02"))
    view.see_tasks(TasksSeen((*runs, *waiting, pending), current=True), NOON)
    view.see_tasks(TasksSeen(progress=(TaskProgress("t-5", 1, 0), TaskProgress("t-75", 1, 1000)), current=True), at(-4))
    view.see_tasks(TasksSeen(progress=(TaskProgress("t-5", 1, 80),), current=True), at(-2))
    view.see_tasks(TasksSeen(progress=(TaskProgress("t-75", 1, 1200),), current=True), NOON)
    view.see_queues(
        (
            QueueInfo(name="default", slots=44, workers=11),
            QueueInfo(name="gpu", waiting=30, running=3, slots=44, workers=11, oldest_waiting_since=at(-129)),
            QueueInfo(name="night", waiting=2, paused=True, oldest_waiting_since=at(-4000)),
        )
    )
    return view


def drawn(view: TopView, *, width: int, height: int | None = None) -> list[str]:
    return [line.plain for line in frame(view, "http://mesh:7400 · 12:00:00", NOON, width=width, height=height)]


SMALL = """\
12 workers · 3 running on 45 slots · 30 waiting · 1 pending · 70 tokens/s · htt…

WORKER     STATE    SLOTS  RESIDENT         NEXT
zeus       suspect    0/1                   lost in 7.0 s · its stream to route…
worker-01  healthy    2/4  ollama:llama3.3
worker-02  healthy    1/4  ollama:llama3.3
and 9 more workers

QUEUE    STATE   WAITING  RUNNING  SLOTS  WORKERS  OLDEST WAITS SINCE
default  open          0        0     44       11                   -
gpu      open         30        3     44       11           2 min ago
night    paused        2        0      0        0          67 min ago

TASK  MODEL  WORKER       AGE  FIRST TOKEN  TOKENS  TOKENS/S
t-75  opus   worker-02   75 s            -    1200      50.0
t-5   opus   worker-01  5.0 s        3.0 s      80      20.0
t-3   opus   worker-01  3.0 s            -       -         -

TASK   MODEL  QUEUE  WAITS  WHY
t-129  opus   gpu    2 min  all 44 slots of gpu are busy; 12 tasks are before it
t-128  opus   gpu    2 min  all 44 slots of gpu are busy; 12 tasks are before it
t-127  opus   gpu    2 min  all 44 slots of gpu are busy; 12 tasks are before it
t-126  opus   gpu    2 min  all 44 slots of gpu are busy; 12 tasks are before it
and 26 more waiting"""


def test_a_picture_of_80_by_24() -> None:
    """What does not fit is counted; columns give way, and nothing wraps."""
    picture = drawn(busy_view(), width=80, height=24)
    assert "\n".join(picture) == SMALL
    assert len(picture) <= 24


LARGE = """\
12 workers · 3 running on 45 slots · 30 waiting · 1 pending · 70 tokens/s · http://mesh:7400 · 12:00:00

WORKER     STATE    SLOTS  QUEUES        RESIDENT            MEMORY FREE  LAST BEAT   NEXT
zeus       suspect    0/1  cpu                                             31 s ago   lost in 7.0 s · its stream to router-1 broke 3 s ago
worker-01  healthy    2/4  gpu, default  ollama:llama3.3   3.0 of 8.0 GB  1.0 s ago
worker-02  healthy    1/4  gpu, default  ollama:llama3.3   3.0 of 8.0 GB  2.0 s ago"""  # noqa: E501 - as wide as it is


def test_a_picture_of_200_by_50() -> None:
    """Room for everything but what waits."""
    picture = drawn(busy_view(), width=200, height=50)
    assert [line.split() for line in picture[:6]] == [line.split() for line in LARGE.splitlines()]
    assert sum("healthy" in line for line in picture) == 11
    assert picture[-1] == "and 8 more waiting"
    assert len(picture) == 50


@pytest.mark.parametrize("width", [10, 40, 80, 200])
@pytest.mark.parametrize("height", [1, 3, 8, 24, 60])
def test_no_picture_is_larger_than_its_screen(width: int, height: int) -> None:
    """However small."""
    picture = frame(busy_view(), "http://mesh:7400", NOON, width=width, height=height)
    assert len(picture) <= height
    assert max(line.cell_len for line in picture) <= width


SMALLEST = """\
12 workers · 3 running on 45 slots · 30…

WORKER     STATE    SLOTS
zeus       suspect    0/1
worker-01  healthy    2/4
and 10 more workers

TASK  WORKER      AGE  TOKENS  TOKENS/S
t-75  worker-02  75 s    1200      50.0
and 2 more running"""


def test_a_picture_of_40_by_10() -> None:
    """Queues and what waits give way first; they are counted in the first line."""
    assert "\n".join(drawn(busy_view(), width=40, height=10)) == SMALLEST


def test_on_the_smallest_screen_what_runs_is_left() -> None:
    assert drawn(busy_view(), width=80, height=6)[2].startswith("TASK  MODEL")


def test_off_a_screen_everything_is_there() -> None:
    assert len(drawn(busy_view(), width=10_000)) == 1 + (2 + 12) + (2 + 3) + (2 + 3) + (2 + 30)


def test_an_empty_mesh_says_what_to_do() -> None:
    """Once that is known; until then the picture says what it waits for."""
    view = TopView()
    head = "0 workers · 0 running on 0 slots · 0 waiting · 0 tokens/s · http://mesh:7400 · 12:00:00"[:79] + "…"
    assert drawn(view, width=80, height=24) == [head, "waiting for the mesh to tell of its queues, tasks, workers"]
    view.see_workers(WorkersSeen(current=True))
    view.see_tasks(TasksSeen(current=False), NOON)
    view.see_queues(())
    assert drawn(view, width=80, height=24)[1:] == ["waiting for the mesh to tell of its tasks"]
    view.see_tasks(TasksSeen(current=True), NOON)
    assert drawn(view, width=80, height=24) == [
        head,
        "",
        "nobody is here and nothing waits; start a worker with `devteam-worker start`",
    ]


def test_a_broken_connection_is_on_the_picture_until_all_is_known_again() -> None:
    view = busy_view()
    lost = "reconnecting (tasks as last known); the connection is lost: Connection refused"
    view.see_tasks(TasksSeen(interrupted="Connection refused"), NOON)
    assert drawn(view, width=80, height=24)[1] == lost
    view.see_tasks(TasksSeen(), NOON)
    assert drawn(view, width=80, height=24)[1] == lost
    view.see_tasks(TasksSeen(current=True, removed=("t-5",)), NOON)
    picture = drawn(view, width=80, height=24)
    assert picture[1] == ""
    assert not any(line.startswith("t-5 ") for line in picture)


def test_each_service_that_is_away_leaves_its_own_part_old() -> None:
    """What another one tells does not make up for it."""
    view = busy_view()
    view.see_tasks(TasksSeen(interrupted="refused"), NOON)
    view.see_workers(WorkersSeen(interrupted="refused"))
    view.see_queues(None, "no answer within 10 s")
    assert view.trouble == [
        "reconnecting (tasks, workers as last known); the connection is lost: refused",
        "reconnecting (queues as last known); the connection is lost: no answer within 10 s",
    ]
    assert len(view.queues) == 3
    view.see_workers(WorkersSeen(current=True))
    view.see_queues(())
    assert view.trouble == ["reconnecting (tasks as last known); the connection is lost: refused"]
    assert view.queues == ()


def test_what_a_task_waits_for_is_counted_from_when_it_could_have_run() -> None:
    """A step that waited for others begins to wait for a worker when they are done."""
    view = TopView()
    behind = task(9, TaskState.PENDING, depends_on=("a",), attempt=0)
    view.see_tasks(TasksSeen((behind,), current=True), NOON)
    assert (view.waiting(None), view.pending_count) == ([], 1)
    ready = task(9, TaskState.QUEUED, depends_on=("a",))
    view.see_tasks(TasksSeen((ready, task(4, TaskState.QUEUED)), current=True), at(30))
    assert [(one.id, since) for one, since in view.waiting(9)] == [("t-4", at(-4)), ("t-9", at(30))]
    view.see_tasks(TasksSeen((running(9, "w1"),), current=True), at(31))
    assert (view.waiting_count, view.running_on("w1")) == (1, 1)
    view.see_tasks(TasksSeen((task(9, TaskState.SUCCEEDED),), current=True), at(32))
    assert (view.running, view.running_on("w1"), view.pending_count) == ([], 0, 0)


def test_a_rate_looks_back_a_few_seconds() -> None:
    """And is nothing once nothing comes any more."""
    pace = Pace(1, 100, NOON)
    assert pace.rate(at(1)) is None
    for second in range(1, 21):
        pace.add(100 + 10 * second, at(second))
    assert pace.rate(at(20)) == 10.0
    assert pace.rate(at(24)) == pytest.approx(50 / 9)
    assert pace.rate(at(26)) == 0.0
    assert pace.first_token_at is None


def test_a_clock_that_is_set_back_makes_no_rate() -> None:
    """Nor does it keep what was told before it."""
    pace = Pace(1, 100, NOON)
    pace.add(110, at(1))
    assert pace.rate(at(-3600)) is None
    pace.add(120, at(-3599))
    assert pace.rate(at(-3599)) is None
    pace.add(130, at(-3598))
    assert pace.rate(at(-3598)) == 10.0


def test_words_of_others_are_not_obeyed() -> None:
    """Nor do they break a line."""
    [_, row] = lines([Column("WHY")], [["red\x1b[31m\nalert"]], 40)
    assert row.plain == "red alert"
