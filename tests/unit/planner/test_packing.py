"""What was streamed in many rows, and becomes few."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

import pytest
from devteam_planner.convert.tokens import joined, text_of
from devteam_planner.domain import Batch, TaskState
from devteam_planner.packing import MOST_TOKENS, Packer, worth_merging
from devteam_planner.ports import Ending, Entry, Stretch
from devteam_planner.store.memory import MemoryPlanStore, MemoryTokenStore
from devteam_planner.store.memory_overview import MemoryOverview
from structlog.testing import capture_logs

from devteam.mesh.errors import Unavailable
from devteam.mesh.tasks import background
from tests.fakes.hasty_clock import HastyClock
from tests.fakes.planner_samples import NOON, a_batch, a_sole_task
from tests.stores.attempts import W1

DONE = Ending(TaskState.SUCCEEDED, burns=False)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - nobody tells it, and the clock stands still for nobody
            await asyncio.sleep(0)


class Tokens(MemoryTokenStore):
    """Says what is done to it; `errors` are raised first, one a call."""

    def __init__(self, plans: MemoryPlanStore) -> None:
        super().__init__(plans)
        self.errors: list[Exception] = []
        self.calls: list[str] = []

    async def stretches(self, task_id: str, *, after: tuple[int, int], limit: int) -> list[Stretch]:
        self.calls.append(f"look {task_id}")
        self._fail()
        return await super().stretches(task_id, after=after, limit=limit)

    async def merge(self, task_id: str, stretch: Stretch, merged: Callable[[Sequence[Batch]], Batch | None]) -> bool:
        self.calls.append(f"merge {stretch.first_seq}-{stretch.last_seq}")
        self._fail()
        return await super().merge(task_id, stretch, merged)

    def _fail(self) -> None:
        if self.errors:
            raise self.errors.pop(0)


@dataclass
class Setting:
    """A packer, and what it stands on; `lags` are told one after the other, then none."""

    clock: HastyClock = field(default_factory=HastyClock)
    plans: MemoryPlanStore = field(default_factory=MemoryPlanStore)
    lags: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tokens = Tokens(self.plans)
        self.packer = self.another()

    def another(self) -> Packer:
        overview = MemoryOverview(self.plans, self.tokens)
        lag = lambda: self.lags.pop(0) if self.lags else 0.0  # noqa: E731 - a stub
        return Packer(self.tokens, overview, self.clock, join=joined, lag=lag)

    async def streamed(self, task_id: str = "t-1", tokens: int = 9) -> None:
        """A task whose answer is there token by token, and which has ended."""
        await self.begun(task_id)
        await self.said(task_id, *(a_batch(seq, f"w{seq} ") for seq in range(1, tokens + 1)))
        await self.ended(task_id)

    async def begun(self, task_id: str) -> None:
        await self.plans.add(a_sole_task(task_id))
        await self.plans.begin_attempt(task_id, after=0, reason="", now=NOON)
        await self.plans.note_assigned(task_id, 1, W1, "q", "turn", NOON)

    async def said(self, task_id: str, *batches: Batch) -> None:
        assert await self.tokens.append([Entry(task_id, 1, W1, batch) for batch in batches]) == []

    async def ended(self, task_id: str) -> None:
        assert await self.plans.end_attempt(task_id, 1, W1, DONE, NOON)

    async def rows(self, task_id: str = "t-1") -> list[tuple[int, int]]:
        stored = await self.tokens.read(task_id, 1, after=0, limit=9999)
        return [(batch.first_seq, batch.last_seq) for batch in stored]

    async def text(self, task_id: str = "t-1") -> str:
        return text_of(await self.tokens.read(task_id, 1, after=0, limit=9999), after=0)

    async def packed(self, task_id: str = "t-1") -> None:
        """Until its answer is in one row."""
        await until(lambda: len(self.tokens._batches[task_id, 1]) == 1)

    async def quiet(self) -> None:
        """Until everything that waited has been looked at: what comes last has been."""
        await self.begun("t-last")
        self.packer.ended("t-last", 0)
        await until(lambda: "look t-last" in self.tokens.calls)


@pytest.fixture
async def setting() -> AsyncIterator[Setting]:
    made = Setting()
    async with background(made.packer.run):
        yield made


async def test_an_answer_that_has_ended_becomes_one_row_a_moment_later(setting: Setting) -> None:
    await setting.streamed()
    began, text = setting.clock.monotonic(), await setting.text()
    setting.packer.ended("t-1", 9)
    await setting.packed()
    assert setting.clock.monotonic() - began >= 5
    assert (await setting.rows(), await setting.text()) == ([(1, 9)], text)
    assert setting.tokens.calls == ["look t-1", "merge 1-9"]


async def test_a_long_answer_becomes_rows_that_no_watcher_chokes_on(setting: Setting) -> None:
    await setting.streamed(tokens=2 * MOST_TOKENS + 88)
    text = await setting.text()
    setting.packer.ended("t-1", 600)
    await setting.quiet()
    assert await setting.rows() == [(1, 256), (257, 512), (513, 600)]
    assert await setting.text() == text


async def test_an_answer_of_many_pages_is_packed_to_its_end(setting: Setting) -> None:
    await setting.streamed(tokens=3000)
    setting.packer.ended("t-1", 3000)
    await setting.quiet()
    assert len(await setting.rows()) == 12


@pytest.mark.parametrize("tokens", [1, 2])
async def test_a_short_answer_is_not_even_looked_at(setting: Setting, tokens: int) -> None:
    setting.packer.ended("t-1", tokens)
    await setting.quiet()
    assert setting.tokens.calls == ["look t-last"]


async def test_what_is_in_few_rows_already_costs_one_look(setting: Setting) -> None:
    await setting.begun("t-1")
    await setting.said("t-1", a_batch(1, "a", "b"), a_batch(3, "c"))
    await setting.ended("t-1")
    setting.packer.ended("t-1", 3)
    await setting.quiet()
    assert setting.tokens.calls == ["look t-1", "look t-last"]


async def test_live_tokens_that_wait_for_the_store_go_first(setting: Setting) -> None:
    await setting.streamed()
    setting.lags = [0.2, 0.2, 0.2]
    setting.packer.ended("t-1", 9)
    await setting.packed()
    assert setting.lags == []
    assert setting.clock.slept.count(0.05) == 3


async def test_between_two_transactions_the_database_is_others_for_longer_than_they_took(setting: Setting) -> None:
    await setting.streamed()
    stretches = setting.tokens.stretches

    async def slow(task_id: str, *, after: tuple[int, int], limit: int) -> list[Stretch]:
        setting.clock.stall(0.1)
        return await stretches(task_id, after=after, limit=limit)

    setting.tokens.stretches = slow  # type: ignore[method-assign]  # a slow disk
    setting.packer.ended("t-1", 9)
    await setting.packed()
    assert any(pause == pytest.approx(0.9) for pause in setting.clock.slept)


async def test_a_store_that_is_away_is_tried_again(setting: Setting) -> None:
    away = Unavailable("the disk is full", reason="STORAGE_UNAVAILABLE")
    await setting.streamed()
    setting.tokens.errors = [away, away]
    setting.packer.ended("t-1", 9)
    await setting.packed()
    assert setting.tokens.calls == ["look t-1", "look t-1", "look t-1", "merge 1-9"]


async def test_what_cannot_be_read_stays_and_is_told_once_for_all_of_the_same_cause(setting: Setting) -> None:
    missing = Unavailable("key 'old' is missing", reason="ENCRYPTION_KEY_UNKNOWN")
    with capture_logs() as lines:
        for task_id in ("t-1", "t-2", "t-3"):
            await setting.streamed(task_id)
            setting.packer.ended(task_id, 9)
        setting.tokens.errors = [missing, missing]
        await setting.packed("t-3")
    assert [len(await setting.rows(task_id)) for task_id in ("t-1", "t-2", "t-3")] == [9, 9, 1]
    assert [(line["task_id"], line["error"]) for line in lines] == [("t-1", "key 'old' is missing")]


@pytest.mark.parametrize("odd", [Batch(3, 4, b"\xff no tokens"), Batch(3, 5, a_batch(3, "only one").payload)])
async def test_what_is_no_tokens_stays_as_it_is(setting: Setting, odd: Batch) -> None:
    await setting.begun("t-1")
    await setting.said("t-1", a_batch(1, "a"), a_batch(2, "b"), odd, a_batch(odd.last_seq + 1, "e"))
    await setting.ended("t-1")
    with capture_logs() as lines:
        setting.packer.ended("t-1", 5)
        await setting.quiet()
    assert len(await setting.rows()) == 4
    assert [line["event"] for line in lines] == ["an answer stays in many rows: it cannot be read"]


@pytest.mark.parametrize("gone", [slice(0, 1), slice(4, 5), slice(8, 9), slice(2, 9)])
async def test_what_changed_since_it_was_looked_at_is_left_alone(setting: Setting, gone: slice) -> None:
    await setting.streamed()
    merge = setting.tokens.merge

    async def late(task_id: str, stretch: Stretch, merged: Callable[[Sequence[Batch]], Batch | None]) -> bool:
        """Somebody has erased some in between."""
        del setting.tokens._batches["t-1", 1][gone]
        return await merge(task_id, stretch, merged)

    setting.tokens.merge = late  # type: ignore[method-assign]  # a race
    setting.packer.ended("t-1", 9)
    await setting.quiet()
    left = [(seq, seq) for seq in range(1, 10)]
    del left[gone]
    assert await setting.rows() == left


async def test_what_a_killed_planner_left_is_found_at_the_next_start() -> None:
    setting = Setting()
    await setting.streamed()
    async with background(setting.another().run):
        await setting.packed()


async def test_beyond_a_bound_answers_stay_as_they_are_and_that_is_told_once() -> None:
    setting = Setting()
    with capture_logs() as lines:
        for number in range(50_003):
            setting.packer.ended(f"t-{number}", 9)
    assert [line["event"] for line in lines] == ["answers stay in many rows: more end than can be packed"]


def stretches(*batches: tuple[int, int, int], attempt: int = 1) -> list[Stretch]:
    return [Stretch(attempt, first, last, size) for first, last, size in batches]


def test_batches_that_follow_each_other_are_worth_merging_if_there_are_three() -> None:
    assert worth_merging(stretches((1, 1, 10), (2, 3, 10))) == []
    assert worth_merging(stretches((1, 1, 10), (2, 3, 10), (4, 4, 10))) == stretches((1, 4, 30))


def test_a_gap_an_overlap_and_another_attempt_are_not_merged_across() -> None:
    gap = stretches((1, 1, 1), (2, 2, 1), (4, 4, 1), (5, 5, 1), (6, 6, 1))
    assert worth_merging(gap) == stretches((4, 6, 3))
    overlap = stretches((1, 1, 1), (2, 2, 1), (2, 3, 1), (4, 4, 1))
    assert worth_merging(overlap) == []
    two = [*stretches((1, 1, 1), (2, 2, 1)), *stretches((3, 3, 1), (4, 4, 1), attempt=2)]
    assert worth_merging(two) == []


def test_a_batch_stays_within_256_tokens_and_64_kib() -> None:
    many = [(seq, seq, 4) for seq in range(1, 600)]
    assert [s.last_seq - s.first_seq + 1 for s in worth_merging(stretches(*many))] == [256, 256, 87]
    large = [(seq, seq, 20_000) for seq in range(1, 7)]
    assert worth_merging(stretches(*large)) == stretches((1, 3, 60_000), (4, 6, 60_000))
    huge = [(1, 1, 10), (2, 2, 10), (3, 3, 10), (4, 4, 900_000), (5, 5, 10)]
    assert worth_merging(stretches(*huge)) == stretches((1, 3, 30))
