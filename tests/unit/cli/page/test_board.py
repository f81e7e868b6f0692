"""What everybody who looks at the page sees."""

import asyncio

from devteam_cli.page.board import Board


def test_a_new_viewer_is_told_everything_and_then_only_what_changes() -> None:
    board = Board()
    board.put("workers", "w1", {"slots": 1})
    board.put("workers", "w2", {"slots": 2})
    first = board.since(0)
    board.put("workers", "w2", {"slots": 3})
    then = board.since(first.version)
    assert (first.fresh, first.put) == (True, {"workers": {"w1": {"slots": 1}, "w2": {"slots": 2}}})
    assert (then.fresh, then.put, then.dropped) == (False, {"workers": {"w2": {"slots": 3}}}, {})


def test_what_was_known_is_no_news() -> None:
    board = Board()
    board.put("workers", "w1", {"slots": 1})
    version = board.since(0).version
    board.put("workers", "w1", {"slots": 1})
    board.drop("workers", "nobody")
    assert board.since(version).version == version


def test_a_slow_viewer_is_told_how_things_are_now_and_not_what_happened_to_them() -> None:
    board = Board()
    board.put("tasks", "t1", {"tokens": 0})
    version = board.since(0).version
    for tokens in range(1, 1000):
        board.put("tasks", "t1", {"tokens": tokens})
    board.drop("tasks", "t1")
    board.put("tasks", "t2", {"tokens": 5})
    news = board.since(version)
    assert (news.put, news.dropped) == ({"tasks": {"t2": {"tokens": 5}}}, {"tasks": ["t1"]})


def test_what_came_back_was_not_dropped() -> None:
    board = Board()
    board.put("tasks", "t1", {"tokens": 1})
    version = board.since(0).version
    board.drop("tasks", "t1")
    board.put("tasks", "t1", {"tokens": 2})
    news = board.since(version)
    assert (news.put, news.dropped) == ({"tasks": {"t1": {"tokens": 2}}}, {})


def test_who_missed_drops_that_nobody_remembers_is_told_everything_anew() -> None:
    board = Board(remembered_drops=2)
    for task_id in ("t1", "t2", "t3", "t4"):
        board.put("tasks", task_id, {})
    early = board.since(0).version
    board.drop("tasks", "t1")
    late = board.since(0).version
    board.drop("tasks", "t2")
    board.drop("tasks", "t3")
    assert board.since(early).fresh
    assert board.since(early).put == {"tasks": {"t4": {}}}
    assert (board.since(late).fresh, board.since(late).dropped) == (False, {"tasks": ["t2", "t3"]})


def test_a_cleared_board_is_told_anew() -> None:
    board = Board()
    board.put("tasks", "t1", {})
    version = board.since(0).version
    board.clear()
    news = board.since(version)
    assert (news.fresh, news.put) == (True, {})
    assert not board.since(news.version).fresh


async def test_whoever_waits_is_woken_by_a_change() -> None:
    board = Board()
    version = board.since(0).version
    waiting = [asyncio.create_task(board.changed(version)) for _ in range(3)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    board.put("tasks", "t1", {})
    async with asyncio.timeout(5):
        await asyncio.gather(*waiting)
