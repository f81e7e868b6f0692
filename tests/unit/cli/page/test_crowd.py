"""Which tasks are shown when there are very many."""

from datetime import UTC, datetime, timedelta

from devteam_cli.page.board import Board
from devteam_cli.page.crowd import Crowd

from devteam.models import Task, TaskState
from devteam.specs import TaskSpec

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def task(number: int, state: TaskState = TaskState.QUEUED) -> Task:
    created_at = NOON + timedelta(seconds=number)
    spec = TaskSpec(prompt="", model="sonnet")
    return Task(id=f"t{number}", plan_id="p", step_id="s", state=state, spec=spec, created_at=created_at)


def test_all_are_shown_while_they_are_few() -> None:
    board = Board()
    Crowd(board).tell([task(1), task(2, TaskState.RUNNING)])
    assert board.ids("tasks") == {"t1", "t2"}
    assert board.get("mesh", "crowd") == {"others": 0}


def test_what_runs_comes_before_what_waits_and_the_oldest_before_the_others() -> None:
    board = Board()
    crowd = Crowd(board, most=3)
    crowd.tell([task(number) for number in range(5)])
    assert board.ids("tasks") == {"t0", "t1", "t2"}
    assert board.get("mesh", "crowd") == {"others": 2}
    crowd.tell([task(4, TaskState.RUNNING)])
    assert board.ids("tasks") == {"t0", "t1", "t4"}


def test_who_leaves_makes_room() -> None:
    board = Board()
    crowd = Crowd(board, most=2, most_ended=1)
    crowd.tell([task(number) for number in range(4)])
    crowd.tell([task(0, TaskState.SUCCEEDED)], removed=["t1"])
    assert board.ids("tasks") == {"t0", "t2", "t3"}
    ended = board.get("tasks", "t0")
    assert ended is not None
    assert ended["state"] == "succeeded"


def test_only_the_newest_that_ended_are_kept() -> None:
    board = Board()
    crowd = Crowd(board, most_ended=2)
    for number in range(5):
        crowd.tell([task(number, TaskState.FAILED)])
    assert board.ids("tasks") == {"t3", "t4"}


def test_a_change_of_what_is_shown_is_told_and_of_others_is_not() -> None:
    board = Board()
    crowd = Crowd(board, most=1)
    crowd.tell([task(0), task(1)])
    version = board.since(0).version
    crowd.tell([task(1)])
    assert board.since(version).version == version
    crowd.tell([task(0, TaskState.RUNNING)])
    assert set(board.since(version).put["tasks"]) == {"t0"}
