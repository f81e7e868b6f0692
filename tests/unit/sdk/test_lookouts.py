"""What of a mesh is news after a connection broke."""

from datetime import UTC, datetime, timedelta

from devteam.lookouts import TaskLookout, WorkerLookout
from devteam.models import TaskState
from devteam.sightings import TaskProgress, TasksSeen, WorkersSeen
from devteam.v1 import planner_pb2, registry_pb2

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def task(task_id: str, state: TaskState = TaskState.RUNNING, at: datetime = NOON) -> planner_pb2.Task:
    made = planner_pb2.Task(task_id=task_id, state=planner_pb2.TaskState.Value(f"TASK_STATE_{state.name}"))
    made.created_at.FromDatetime(NOON)
    if state.ended:
        made.ended_at.FromDatetime(at)
    return made


def told(*tasks: planner_pb2.Task, current: bool = True) -> planner_pb2.WatchTasksResponse:
    return planner_pb2.WatchTasksResponse(tasks=tasks, current=current)


def ids(seen: TasksSeen) -> list[str]:
    return [task.id for task in seen.tasks]


def test_tasks_that_are_not_told_again_are_gone() -> None:
    """All that there is comes again; whatever of the old is not among it has ended, without a word."""
    lookout = TaskLookout(None)
    lookout.begin()
    lookout.seen(told(task("a"), task("b"), task("c")), NOON)
    lookout.begin()
    first = lookout.seen(told(task("a"), current=False), NOON)
    assert (ids(first), first.removed, first.current) == (["a"], (), False)
    last = lookout.seen(told(task("c", TaskState.FAILED)), NOON)
    assert (ids(last), last.removed, last.current) == (["c"], ("b",), True)
    lookout.begin()
    assert lookout.seen(told(task("a")), NOON).removed == ()


def test_an_end_is_told_once() -> None:
    lookout = TaskLookout(None)
    lookout.begin()
    lookout.seen(told(task("a")), NOON)
    assert ids(lookout.seen(told(task("a", TaskState.SUCCEEDED)), NOON)) == ["a"]
    lookout.begin()
    assert ids(lookout.seen(told(task("a", TaskState.SUCCEEDED), task("b", TaskState.FAILED)), NOON)) == ["b"]


def test_a_new_connection_goes_on_a_little_before_the_newest_moment_that_was_told() -> None:
    """By the mesh's clock, not by this machine's."""
    lookout = TaskLookout(NOON - 60 * SECOND)
    assert lookout.begin() == NOON - 60 * SECOND
    lookout.seen(told(task("a"), current=False), NOON + 900 * SECOND)
    assert lookout.begin() == NOON - 60 * SECOND  # the beginning was not told to its end
    lookout.seen(told(task("a", TaskState.SUCCEEDED, NOON + 20 * SECOND)), NOON + 900 * SECOND)
    assert lookout.begin() == NOON + 15 * SECOND


def test_where_no_task_was_told_of_it_begins_where_it_was_asked_to() -> None:
    """By its own clock, which may be ahead of the mesh's, it would miss ends, or ask for the future."""
    lookout = TaskLookout(NOON)
    lookout.begin()
    lookout.seen(told(), NOON + 900 * SECOND)
    assert lookout.begin() == NOON


def test_without_any_moment_of_the_mesh_this_machines_clock_has_to_do() -> None:
    lookout = TaskLookout(None)
    assert lookout.begin() is None
    lookout.seen(told(), NOON)
    assert lookout.begin() == NOON - 5 * SECOND


def test_progress_is_passed_on() -> None:
    lookout = TaskLookout(None)
    progress = planner_pb2.TaskProgress(task_id="a", attempt=2, tokens=7)
    seen = lookout.seen(planner_pb2.WatchTasksResponse(progress=[progress]), NOON)
    assert seen.progress == (TaskProgress("a", 2, 7),)


def test_what_concerns_routers_is_nothing_to_those_who_look_on() -> None:
    """Nor is a kind of message that this client does not know."""
    lookout = WorkerLookout()
    assert lookout.seen(registry_pb2.WatchWorkersResponse(routers=registry_pb2.RouterList())) is None
    assert lookout.seen(registry_pb2.WatchWorkersResponse()) is None


def test_a_worker_that_left_is_not_gone_once_more() -> None:
    """After the next break."""
    record = registry_pb2.WorkerRecord(worker=registry_pb2.Worker(worker_id="w1"))
    everyone = registry_pb2.WatchWorkersResponse(snapshot=registry_pb2.WorkerSnapshot(workers=[record], complete=True))
    nobody = registry_pb2.WatchWorkersResponse(snapshot=registry_pb2.WorkerSnapshot(complete=True))
    left = registry_pb2.WatchWorkersResponse(removed=registry_pb2.WorkerRemoval(worker_id="w1", reason="drained"))
    lookout = WorkerLookout()
    lookout.begin()
    lookout.seen(everyone)
    assert lookout.seen(left) == WorkersSeen((), ("w1",), True, {"w1": "drained"})
    lookout.begin()
    assert lookout.seen(nobody) == WorkersSeen((), (), True)
