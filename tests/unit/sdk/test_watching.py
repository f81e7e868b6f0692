"""A watch that outlives its connections."""

from collections.abc import AsyncGenerator, Sequence

import pytest

from devteam.errors import Internal, NotFound, Unavailable
from devteam.events import (
    AttemptStarted,
    Event,
    Gap,
    Interrupted,
    PlanChanged,
    TaskChanged,
    TextToken,
    Tokens,
)
from devteam.models import Plan, PlanState, Task, TaskState
from devteam.specs import TaskSpec
from devteam.watching import Position, Progress, follow
from tests.fakes.clock import FakeClock


class RestlessClock(FakeClock):
    """Sleeps by moving on, so that backing off takes no time."""

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)


def task(state: TaskState = TaskState.RUNNING, task_id: str = "t") -> Task:
    spec = TaskSpec(prompt="p", model="m")
    return Task(id=task_id, plan_id="t", step_id="task", state=state, spec=spec)


def said(first: int, words: str, attempt: int = 1) -> Tokens:
    return Tokens("t", "task", attempt, first, tuple(map(TextToken, words)))


def started(attempt: int) -> AttemptStarted:
    return AttemptStarted("t", "task", attempt, "")


class Line:
    """Connections that tell what a test scripted, each ending with its error or, for None, in order."""

    def __init__(self, *scripts: tuple[Sequence[Event], Exception | None]) -> None:
        self._scripts = list(scripts)
        self.asked: list[dict[str, Position]] = []

    async def connect(self, progress: Progress) -> AsyncGenerator[Event, None]:
        self.asked.append(dict(progress.positions))
        events, error = self._scripts.pop(0)
        for event in events:
            yield event
        if error is not None:
            raise error

    async def followed(self, patience: float = 5.0) -> list[Event]:
        return [event async for event in follow(self.connect, Progress("t"), RestlessClock(), patience)]


async def test_a_broken_watch_goes_on_where_it_was() -> None:
    """The second connection asks for what comes after the last token, and the caller sees one break and no double."""
    running, done = TaskChanged(task()), TaskChanged(task(TaskState.SUCCEEDED))
    line = Line(
        ([running, started(1), said(1, "ab")], Unavailable("gone")),
        ([running, said(3, "c"), done], None),
    )
    assert await line.followed() == [
        running,
        started(1),
        said(1, "ab"),
        Interrupted("gone"),
        said(3, "c"),
        done,
    ]
    assert line.asked == [{}, {"t": Position(1, 2)}]


async def test_an_outage_is_told_once() -> None:
    """However many tries it takes."""
    running, done = TaskChanged(task()), TaskChanged(task(TaskState.SUCCEEDED))
    down: tuple[Sequence[Event], Exception] = ([], Unavailable("refused"))
    line = Line(([running], Unavailable("gone")), down, down, down, ([running, done], None))
    assert await line.followed() == [running, Interrupted("gone"), done]


async def test_a_stream_that_ends_before_the_task_does_is_opened_again() -> None:
    """A proxy's idle limit must not look like an end."""
    running, done = TaskChanged(task()), TaskChanged(task(TaskState.FAILED))
    line = Line(([running], None), ([running, done], None))
    assert await line.followed() == [running, Interrupted("the stream ended early"), done]


async def test_a_reset_stream_is_opened_again() -> None:
    """What a proxy resets arrives as CANCELLED, which nobody of ours says."""
    running, done = TaskChanged(task()), TaskChanged(task(TaskState.SUCCEEDED))
    line = Line(([running], Internal("RST_STREAM", reason="CANCELLED")), ([running, done], None))
    assert await line.followed() == [running, Interrupted("RST_STREAM"), done]


async def test_a_task_that_had_ended_is_replayed_and_its_end_comes_last() -> None:
    """The mesh begins with the end then; a caller that stops at an end must not miss the answer."""
    done = TaskChanged(task(TaskState.SUCCEEDED))
    line = Line(
        ([done, started(1), said(1, "ab")], Unavailable("gone")),
        ([done, started(1), said(3, "c"), done], None),
    )
    assert await line.followed() == [started(1), said(1, "ab"), Interrupted("gone"), said(3, "c"), done]


async def test_an_unreachable_mesh_is_tried_for_a_while() -> None:
    """Then the caller hears of it."""
    line = Line(*[([], Unavailable("refused")) for _ in range(20)])
    with pytest.raises(Unavailable, match="refused"):
        await line.followed(patience=3.0)
    assert 3 <= len(line.asked) < 20


@pytest.mark.parametrize("before", [[], [TaskChanged(task())]])
async def test_any_other_error_is_raised(before: list[Event]) -> None:
    """At once, at the beginning as in the middle."""
    line = Line((before, NotFound("task", "t")))
    with pytest.raises(NotFound):
        await line.followed()


def test_tokens_told_again_are_cut_off() -> None:
    """Whole batches, and the beginnings of batches that overlap."""
    progress = Progress("t")
    assert progress.news(said(1, "abc")) == said(1, "abc")
    assert progress.news(said(1, "abc")) is None
    assert progress.news(said(2, "bcd")) == said(4, "d")
    assert progress.positions == {"t": Position(1, 4)}


def test_words_of_an_older_attempt_are_dropped() -> None:
    """A new attempt begins its count anew."""
    progress = Progress("t")
    progress.news(said(1, "abc"))
    assert progress.news(started(2)) == started(2)
    assert progress.news(said(4, "d", attempt=1)) is None
    assert progress.news(Gap("t", "task", 1, 4, 9)) is None
    assert progress.news(said(1, "x", attempt=2)) == said(1, "x", attempt=2)


def test_an_attempt_is_announced_once() -> None:
    """Reconnecting in its middle does not make it new."""
    progress = Progress("t", {"t": Position(2, 7)})
    assert progress.news(started(2)) is None
    assert progress.news(started(1)) is None
    assert progress.news(started(3)) == started(3)
    assert progress.positions == {"t": Position(3, 0)}


def test_a_gap_counts_as_read() -> None:
    """Only the part of it that was not read is a gap."""
    progress = Progress("t")
    progress.news(said(1, "ab"))
    assert progress.news(Gap("t", "task", 1, 2, 5)) == Gap("t", "task", 1, 3, 5)
    assert progress.news(Gap("t", "task", 1, 2, 5)) is None
    assert progress.news(said(5, "ef")) == said(6, "f")


def test_a_plan_that_did_not_change_is_no_news() -> None:
    """A snapshot is news only if it says what no event had said."""
    progress = Progress("p")
    first, second = task(task_id="a"), task(task_id="b")
    plan = Plan(id="p", name="n", state=PlanState.RUNNING, tasks=(first, second))
    assert progress.news(PlanChanged(plan)) is not None
    assert progress.news(PlanChanged(plan)) is None
    changed = task(TaskState.SUCCEEDED, "a")
    assert progress.news(TaskChanged(changed)) is not None
    now = Plan(id="p", name="n", state=PlanState.RUNNING, tasks=(changed, second))
    assert progress.news(PlanChanged(now)) is None
    done = Plan(id="p", name="n", state=PlanState.SUCCEEDED, tasks=(changed, second))
    assert progress.news(PlanChanged(done)) is None
    assert progress.end == PlanChanged(done)


def test_the_end_of_a_step_is_not_the_end_of_its_plan() -> None:
    """Only what is watched ends a watch."""
    progress = Progress("p")
    ended = TaskChanged(task(TaskState.SUCCEEDED, "p.a"))
    assert progress.news(ended) == ended
    assert progress.end is None
    assert progress.steps == {"p.a": "task"}
