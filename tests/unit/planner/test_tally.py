"""Each end is counted once, as the store took it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime

import pytest
from devteam_planner import meters, tally
from devteam_planner.activities import PlanActivities
from devteam_planner.bell import Bell
from devteam_planner.domain import (
    MAX_OUTPUT_BYTES,
    Cancelled,
    Failure,
    FailureReason,
    GivenBack,
    HandedBack,
    RunPolicy,
    TaskSpec,
    TaskState,
    Usage,
)
from devteam_planner.ports import RunAssigned, RunEvent, RunLost, RunReport
from devteam_planner.store.memory import MemoryPlanStore, MemoryTokenStore
from devteam_planner.store.memory_overview import MemoryOverview
from devteam_planner.token_log import TokenLog

from devteam.mesh.errors import Unavailable
from devteam.mesh.metrics.readings import readable
from devteam.mesh.tasks import background
from tests.fakes.clock import FakeClock
from tests.fakes.scrape import Scrape, metered, scraped
from tests.fakes.step_bench import ASSIGNED, BUSY, DONE, W1, Bench, tokens
from tests.fakes.step_script import ScriptedDriver, plan_of

USED = Usage(input_tokens=100, output_tokens=5, cache_read_tokens=60, cache_write_tokens=20, cost_usd=0.25)
ALL_USED = ({"input": 100, "output": 5, "cache_read": 60, "cache_write": 20}, 0.25)


@pytest.fixture(autouse=True)
async def collecting() -> AsyncIterator[None]:
    async with metered():
        yield


def attempts(scrape: Scrape) -> dict[tuple[str, str], float]:
    """Those that there were, by outcome and reason."""
    found = {
        (dict(labels)["outcome"], dict(labels).get("reason", "")): value
        for (name, labels), value in scrape.values.items()
        if name == "devteam_attempts_total"
    }
    return {key: value for key, value in found.items() if value}


def ends(scrape: Scrape) -> dict[str, float]:
    return {state: value for state, value in scrape.of("devteam_tasks_ended_total", "state").items() if value}


async def test_a_success_counts_its_attempt_its_task_and_what_it_took(bench: Bench) -> None:
    done = replace(DONE, model="sim-1", usage=USED, time_to_first_token=0.5)
    bench.router.script(ASSIGNED, tokens(1, "a"), tokens(2, "b"), RunReport(done, last_seq=2))
    await bench.run()
    scrape = await scraped()
    assert attempts(scrape) == {("succeeded", ""): 1}
    assert ends(scrape) == {"succeeded": 1}
    assert scrape.of("devteam_tokens_total", "kind") == {"input": 100, "output": 5, "cache_read": 60, "cache_write": 20}
    assert scrape.value("devteam_cost_usd_total", model="sim-1") == 0.25
    assert scrape.value("devteam_time_to_first_token_seconds_sum", model="sim-1") == 0.5


async def test_how_fast_it_spoke_is_measured_from_its_first_tokens_to_its_end(bench: Bench) -> None:
    async def passes() -> None:
        bench.clock.advance(2)

    done = replace(DONE, usage=Usage(output_tokens=5))
    bench.router.script(ASSIGNED, passes, tokens(1, "a"), passes, tokens(2, "b"), passes, RunReport(done, last_seq=2))
    await bench.run()
    scrape = await scraped()
    assert scrape.value("devteam_time_per_output_token_seconds_sum", model="sim") == pytest.approx(4 / 4)
    assert scrape.value("devteam_run_duration_seconds_sum", model="sim") == pytest.approx(6)


async def test_of_a_run_that_was_not_seen_from_its_start_no_pace_is_told(bench: Bench) -> None:
    await bench.assigned()
    adopted = RunAssigned(W1, "default", "already running", adopted=True)
    done = replace(DONE, usage=Usage(output_tokens=5), time_to_first_token=0.5)
    bench.router.script(adopted, tokens(1, "a"), RunReport(done, last_seq=1))
    await bench.run()
    scrape = await scraped()
    assert scrape.value("devteam_time_per_output_token_seconds_count", model="sim") is None
    assert scrape.value("devteam_run_duration_seconds_count", model="sim") is None
    assert scrape.value("devteam_time_to_first_token_seconds_count", model="sim") == 1


@pytest.mark.parametrize(
    ("before", "end"),
    [
        ("somebody else ends it", {}),
        ("it is cancelled", {"cancelled": 1}),
    ],
)
async def test_of_a_run_whose_completion_was_not_stored_no_pace_is_told(
    bench: Bench, before: str, end: dict[str, float]
) -> None:
    first = {"somebody else ends it": bench.ends_elsewhere, "it is cancelled": bench.cancel}[before]
    done = replace(DONE, usage=Usage(output_tokens=5), time_to_first_token=0.5)
    bench.router.script(ASSIGNED, first, RunReport(done, last_seq=0))
    await bench.run()
    scrape = await scraped()
    assert ends(scrape) == end
    for figure in ("time_to_first_token", "run_duration"):
        assert scrape.value(f"devteam_{figure}_seconds_count", model="sim") is None


@pytest.mark.parametrize(
    ("event", "counted", "ended"),
    [
        (RunReport(BUSY, 0), ("failed", "rate_limited"), {}),
        (RunReport(Failure(FailureReason.REFUSED, "no"), 0), ("failed", "refused"), {"failed": 1}),
        (RunReport(HandedBack("bye", reason=GivenBack.DRAINING), 0), ("handed_back", "draining"), {}),
        (RunReport(HandedBack("429", reason=GivenBack.RATE_LIMITED), 0), ("handed_back", "rate_limited"), {}),
        (RunLost(W1, "gone"), ("lost", "worker_lost"), {}),
        (RunLost(W1, "gone", never_began=True), ("handed_back", "never_began"), {}),
    ],
)
async def test_an_attempt_counts_under_how_it_ended(
    bench: Bench, event: RunEvent, counted: tuple[str, str], ended: dict[str, float]
) -> None:
    bench.router.script(ASSIGNED, event)
    await bench.run()
    scrape = await scraped()
    assert attempts(scrape) == {counted: 1}
    assert ends(scrape) == ended


async def test_a_task_that_is_cancelled_while_it_runs_counts_once(bench: Bench) -> None:
    bench.router.script(ASSIGNED, bench.cancel, RunReport(Cancelled(0.1), 0))
    await bench.run()
    scrape = await scraped()
    assert (attempts(scrape), ends(scrape)) == ({("cancelled", ""): 1}, {"cancelled": 1})


async def test_a_task_that_is_cancelled_before_it_began_ends_with_no_attempt(bench: Bench) -> None:
    await bench.cancel()
    await bench.run()
    scrape = await scraped()
    assert (attempts(scrape), ends(scrape)) == ({}, {"cancelled": 1})


async def test_what_a_failed_attempt_took_counts_under_the_model_that_was_asked_for(bench: Bench) -> None:
    bench.router.script(ASSIGNED, RunReport(replace(BUSY, usage=Usage(7, 3)), 0))
    await bench.run()
    scrape = await scraped()
    assert scrape.value("devteam_tokens_total", model="sim", kind="input") == 7
    assert scrape.value("devteam_cost_usd_total", model="sim") is None, "its price is not known"


def taken(scrape: Scrape) -> tuple[dict[str, float], float | None]:
    return scrape.of("devteam_tokens_total", "kind"), scrape.value("devteam_cost_usd_total", model="sim")


async def test_what_an_attempt_took_that_was_cancelled_counts(bench: Bench) -> None:
    bench.router.script(ASSIGNED, bench.cancel, RunReport(Cancelled(0.1, USED), 0))
    await bench.run()
    assert taken(await scraped()) == ALL_USED
    assert (await bench.task()).usage == USED


async def test_what_an_attempt_took_that_was_handed_back_counts(bench: Bench) -> None:
    bench.router.script(ASSIGNED, RunReport(HandedBack("bye", reason=GivenBack.DRAINING, usage=USED), 0))
    await bench.run()
    assert taken(await scraped()) == ALL_USED
    assert (await bench.task()).usage == USED


async def test_what_an_attempt_took_that_was_done_when_its_cancel_came_counts(bench: Bench) -> None:
    bench.router.script(ASSIGNED, bench.cancel, RunReport(replace(DONE, usage=USED), 0))
    await bench.run()
    scrape = await scraped()
    assert (taken(scrape), attempts(scrape)) == (ALL_USED, {("cancelled", ""): 1})
    assert (await bench.task()).usage == USED


async def test_what_an_attempt_took_whose_output_is_too_large_counts(bench: Bench) -> None:
    done = replace(DONE, usage=USED)
    bench.router.script(ASSIGNED, tokens(1, "x" * MAX_OUTPUT_BYTES), tokens(2, "x"), RunReport(done, 2))
    await bench.run()
    scrape = await scraped()
    assert (taken(scrape), attempts(scrape)) == (ALL_USED, {("failed", "output_too_large"): 1})
    assert (await bench.task()).usage == USED


async def test_what_a_worker_does_not_know_counts_as_nothing(bench: Bench) -> None:
    """Older ones never say what a run took that did not complete."""
    bench.router.script(ASSIGNED, bench.cancel, RunReport(Cancelled(0.1), 0))
    await bench.run()
    assert (await scraped()).total("devteam_tokens_total") == 0


async def test_an_end_that_the_fence_refused_counts_as_refused_and_as_nothing_else(bench: Bench) -> None:
    bench.router.script(ASSIGNED, bench.ends_elsewhere, RunReport(DONE, 0))
    await bench.run()
    scrape = await scraped()
    assert (attempts(scrape), ends(scrape)) == ({}, {})
    assert scrape.value("devteam_fenced_writes_total", what="end") == 1


async def test_a_retried_task_counts_two_attempts_and_one_end(empty: Bench) -> None:
    await empty.add(TaskSpec(prompt="hi", model="sim", policy=RunPolicy(max_attempts=2)))
    empty.router.script(ASSIGNED, RunReport(BUSY, 0))
    empty.router.script(ASSIGNED, RunReport(DONE, 0))
    await empty.run()
    await empty.run()
    scrape = await scraped()
    assert attempts(scrape) == {("failed", "rate_limited"): 1, ("succeeded", ""): 1}
    assert ends(scrape) == {"succeeded": 1}


@pytest.mark.parametrize(("cancelled", "end"), [(False, "skipped"), (True, "cancelled")])
async def test_what_a_plan_takes_with_it_when_it_is_closed_counts_once(
    clock: FakeClock, *, cancelled: bool, end: str
) -> None:
    store = MemoryPlanStore()
    await store.add(plan_of("p-1", a=[], b=["a"], c=["b"]))
    assert await store.end_task("p-1.a", TaskState.FAILED, None, clock.now())
    if cancelled:
        await store.request_cancel("p-1", clock.now())
    activities = PlanActivities(ScriptedDriver(store), store, lambda _: None, clock)
    await activities.close_plan("p-1")
    await activities.close_plan("p-1")
    assert ends(await scraped()) == {end: 2}


async def test_nothing_is_there_yet_but_what_is_asked_for_is_0() -> None:
    tally.begin()
    scrape = await scraped()
    assert scrape.value("devteam_tasks_created_total") == 0
    assert set(scrape.of("devteam_tasks_ended_total", "state")) == {"succeeded", "failed", "cancelled", "skipped"}
    assert scrape.value("devteam_attempts_total", outcome="lost", reason="worker_lost") == 0
    assert scrape.value("devteam_attempts_total", outcome="succeeded") == 0
    assert set(scrape.of("devteam_fenced_writes_total", "what")) == {"tokens", "end", "assigned", "waiting"}


async def test_a_model_has_its_tokens_at_0_before_its_first_run_has_ended(bench: Bench) -> None:
    """Or what that took would not show as an increase."""

    async def begun() -> None:
        scrape = await scraped()
        assert scrape.of("devteam_tokens_total", "kind") == dict.fromkeys(ALL_USED[0], 0)
        assert scrape.value("devteam_tokens_total", model="sim", kind="input") == 0
        assert scrape.value("devteam_cost_usd_total", model="sim") is None, "its price is not known"
        seen.append(scrape)

    seen: list[Scrape] = []
    bench.router.script(ASSIGNED, begun, RunReport(replace(DONE, usage=USED), 0))
    await bench.run()
    assert seen
    assert taken(await scraped()) == ALL_USED


async def test_models_that_were_in_use_are_there_after_a_restart(empty: Bench) -> None:
    """As their tasks name them, and as their providers do; dollars of those whose price was known."""
    named = replace(DONE, model="claude-opus-5-5", usage=USED)
    await empty.add(*(TaskSpec(prompt="hi", model=model) for model in ("opus", "ollama:x", "handled")))
    for outcome in (named, replace(DONE, model="ollama:x", usage=Usage(1, 1)), DONE):
        empty.router.script(ASSIGNED, RunReport(outcome, 0))
    for step in "abc":
        await empty.run(f"p-1.{step}")
    async with metered():
        await tally.recall(empty.overview, empty.clock)
        scrape = await scraped()
        assert scrape.total("devteam_tokens_total") == 0
        assert set(scrape.of("devteam_tokens_total", "model")) == {"opus", "claude-opus-5-5", "ollama:x"}
        assert scrape.of("devteam_cost_usd_total", "model") == {"opus": 0, "claude-opus-5-5": 0}


async def test_models_of_long_ago_are_not_in_use(bench: Bench) -> None:
    bench.router.script(ASSIGNED, RunReport(replace(DONE, usage=USED), 0))
    await bench.run()
    bench.clock.advance(8 * 86_400)
    async with metered():
        await tally.recall(bench.overview, bench.clock)
        assert (await scraped()).of("devteam_tokens_total", "model") == {}


async def test_a_planner_whose_store_is_away_begins_all_the_same(clock: FakeClock) -> None:
    await tally.recall(_AwayOverview(), clock)


class _AwayOverview(MemoryOverview):
    """Cannot be read."""

    def __init__(self) -> None:
        plans = MemoryPlanStore()
        super().__init__(plans, MemoryTokenStore(plans))

    async def ended(self, since: datetime, limit: int, whose: str = "") -> list[str]:
        raise Unavailable("the store is away")


class _AwayStore(MemoryTokenStore):
    """Cannot be written to until it is told so."""

    def __init__(self, plans: MemoryPlanStore) -> None:
        super().__init__(plans)
        self.away = True

    async def append(self, entries):  # type: ignore[no-untyped-def]  # as the port has it
        if self.away:
            raise Unavailable("the store is away")
        return await super().append(entries)


async def test_the_stream_lags_while_the_store_is_away(clock: FakeClock) -> None:
    plans = MemoryPlanStore()
    store, bell = _AwayStore(plans), Bell(clock)
    log = TokenLog(store, bell, lambda *_: None, clock)
    batch = tokens(1, "abc").batch
    with readable(lambda: meters.read(log, bell)), bell.listening("p-1"):
        async with background(log.run):
            scrape = await scraped()
            assert (scrape.value("devteam_stream_lag_seconds"), scrape.value("devteam_watchers")) == (0, 1)
            await log.append("p-1", "t", 1, W1, batch)
            await asyncio.sleep(0)
            clock.advance(2)
            await asyncio.sleep(0)
            await log.append("p-1", "t", 1, W1, tokens(2, "d").batch)
            clock.advance(5)
            scrape = await scraped()
            assert scrape.value("devteam_stream_lag_seconds") == 7
            assert (scrape.value("devteam_stream_backlog_bytes", at="planner") or 0) > len(batch.payload)
            store.away = False
            clock.advance(10)
            await log.settle("t", 1)
            scrape = await scraped()
            assert scrape.value("devteam_stream_lag_seconds") == 0
            assert scrape.value("devteam_stream_backlog_bytes", at="planner") == 0
