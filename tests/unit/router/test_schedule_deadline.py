"""A run that has to find a worker in time."""

from datetime import UTC, datetime, timedelta

import pytest
from devteam_router.convert.runs import run_from_proto
from devteam_router.dispatch import NeverRan
from devteam_router.domain import Run
from devteam_router.frames import Assign
from google.protobuf.duration_pb2 import Duration

from devteam.v1 import run_pb2
from tests.fakes.router_bench import RouterBench
from tests.fakes.router_samples import a_run, a_worker

PLANNERS_NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


async def test_a_run_that_finds_no_worker_in_time_never_ran(bench: RouterBench) -> None:
    planner = await bench.dispatch(a_run(schedule_within=30.0))
    await bench.advance(29.9)
    assert not planner.over
    await bench.advance(0.1)
    assert planner.story == ["waits: no_worker_in_queue", "out of time"]
    end = planner.events[-1]
    assert isinstance(end, NeverRan)
    assert end.message == (
        "no worker took it within its schedule_timeout: no worker serves default; "
        "start one with: devteam-worker start --queue default"
    )
    assert len(bench.core.lines) == 0


@pytest.mark.parametrize("within", [0.0, -5.0])
async def test_after_its_deadline_it_is_placed_nowhere(bench: RouterBench, within: float) -> None:
    worker = bench.worker()
    planner = await bench.dispatch(a_run(schedule_within=within))
    assert planner.story == ["out of time"]
    assert worker.heard() == []


async def test_a_loop_that_is_behind_hands_out_nothing_that_is_too_late(bench: RouterBench) -> None:
    """The worker's line opens before the run's timer has had its turn: the one behind it goes out."""
    late = await bench.dispatch(a_run("t1", schedule_within=30.0))
    behind = await bench.dispatch(a_run("t2"))
    bench.clock.stall(31)
    worker = bench.worker()
    await bench.advance(0)
    assert late.story == ["waits: no_worker_in_queue", "waits: no_worker_available", "out of time"]
    assert behind.story == ["waits: no_worker_in_queue", "waits: no_worker_available", "assigned to w1"]
    assert worker.heard() == [Assign(a_run("t2"), "default")]
    assert bench.held == ["t2/1 on w1"]


async def test_a_started_run_has_no_such_limit(bench: RouterBench) -> None:
    worker = bench.worker()
    planner = await bench.dispatch(a_run(schedule_within=30.0))
    worker.accept("t1")
    await bench.advance(3600)
    worker.report("t1")
    await bench.settled()
    assert planner.story == ["assigned to w1", "started", "report after 0"]


async def test_it_holds_for_a_run_that_was_put_back_in_line(bench: RouterBench) -> None:
    worker = bench.worker()
    planner = await bench.dispatch(a_run(schedule_within=0.5))
    worker.reject("t1")
    await bench.advance(0.5)
    assert planner.story == ["assigned to w1", "waits: all_slots_busy", "out of time"]


async def test_a_rejection_after_the_deadline_ends_it(bench: RouterBench) -> None:
    worker = bench.worker(a_worker("w1"))
    planner = await bench.dispatch(a_run(schedule_within=30.0))
    other = bench.worker(a_worker("w2"))
    await bench.advance(31)
    worker.reject("t1")
    await bench.settled()
    assert planner.story == ["assigned to w1", "out of time"]
    assert other.heard() == []


class TestClocksApart:
    """The Router's clock is ahead of the Planner's, or behind it."""

    @pytest.fixture(params=[31, -31])
    def run(self, bench: RouterBench, request: pytest.FixtureRequest) -> Run:
        message = run_pb2.Run(task_id="t1", attempt=1, prompt="hi", model="sim", schedule_within=Duration(seconds=30))
        message.schedule_deadline.FromDatetime(PLANNERS_NOW + timedelta(seconds=30))
        return run_from_proto(message, bench.core.preferences, PLANNERS_NOW + timedelta(seconds=request.param))

    async def test_a_free_worker_takes_the_run(self, bench: RouterBench, run: Run) -> None:
        bench.worker()
        planner = await bench.dispatch(run)
        assert planner.story == ["assigned to w1"]

    async def test_the_limit_is_neither_early_nor_late(self, bench: RouterBench, run: Run) -> None:
        planner = await bench.dispatch(run)
        await bench.advance(29.9)
        assert not planner.over
        await bench.advance(0.1)
        assert planner.story == ["waits: no_worker_in_queue", "out of time"]
