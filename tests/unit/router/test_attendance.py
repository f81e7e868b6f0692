import asyncio
from random import Random

import pytest
from devteam_router.attendance import Attendance
from devteam_router.domain import AttemptId, Worker, WorkerInstance, WorkerState
from devteam_router.graces import Graces
from devteam_router.leases import Lease, Leases
from devteam_router.ports import FleetSnapshot, LinkReport, LinkState, WorkerRemoved
from devteam_router.routing import Policy
from devteam_router.service import RouterCore

from tests.fakes.clock import FakeClock
from tests.fakes.router_bench import RouterBench, in_hand
from tests.fakes.router_samples import a_run, a_worker

W1, W2 = WorkerInstance("w1", "i1"), WorkerInstance("w2", "i1")


async def told(attendance: Attendance) -> LinkReport:
    """The next report, which is there already."""
    return await asyncio.wait_for(attendance.news(), 60)


async def silent(attendance: Attendance) -> bool:
    """Whether there is nothing to say."""
    saying = asyncio.ensure_future(attendance.news())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return not saying.done() and saying.cancel()


@pytest.fixture
def leases() -> Leases:
    return Leases()


@pytest.fixture
def attendance(leases: Leases, clock: FakeClock) -> Attendance:
    return Attendance(leases, clock, grace=10.0)


async def test_a_stream_that_comes_or_goes_is_news_once(attendance: Attendance) -> None:
    assert await silent(attendance)
    attendance.came(W1)
    assert await told(attendance) == LinkReport((LinkState(W1, connected=True, running=0),))
    assert await silent(attendance)


async def test_a_broken_stream_counts_the_rest_of_its_grace_when_it_is_told(
    attendance: Attendance, leases: Leases, clock: FakeClock
) -> None:
    leases.grant(Lease(AttemptId("t1", 1), W1, "default"))
    attendance.went(W1)
    clock.advance(3)
    assert await told(attendance) == LinkReport((LinkState(W1, connected=False, running=1, given_up_in=7.0),))
    leases.release(AttemptId("t1", 1))
    attendance.gave_up(W1)
    assert await told(attendance) == LinkReport((LinkState(W1, connected=False, running=0),))


async def test_what_gathers_meanwhile_goes_into_the_next_report_as_it_is_by_then(attendance: Attendance) -> None:
    attendance.came(W1)
    attendance.came(W2)
    attendance.went(W1)
    report = await told(attendance)
    assert [(link.worker, link.connected) for link in report.links] == [(W1, False), (W2, True)]


async def test_a_report_that_did_not_arrive_is_made_anew(attendance: Attendance) -> None:
    attendance.went(W1)
    report = await told(attendance)
    attendance.came(W1)
    attendance.unheard(report)
    assert await told(attendance) == LinkReport((LinkState(W1, connected=True, running=0),))
    assert await silent(attendance)


async def test_everything_is_said_when_asked_broken_streams_included(attendance: Attendance) -> None:
    attendance.say_everything()
    assert await told(attendance) == LinkReport((), complete=True)
    attendance.came(W1)
    attendance.went(W2)
    attendance.gave_up(W2)
    await told(attendance)
    attendance.say_everything()
    everything = LinkReport((LinkState(W1, connected=True, running=0), LinkState(W2, False, 0)), complete=True)
    report = await told(attendance)
    assert report == everything
    attendance.unheard(report)
    assert await told(attendance) == everything


async def test_more_than_fit_into_one_report_go_in_parts(attendance: Attendance) -> None:
    for number in range(1_001):
        attendance.came(WorkerInstance(f"w{number}", "i1"))
    attendance.say_everything()
    parts = [await told(attendance), await told(attendance)]
    assert [(len(part.links), part.complete) for part in parts] == [(1_000, False), (1, False)]
    assert await silent(attendance)


@pytest.mark.parametrize("told_of", [None, a_worker("w1", instance="i2")])
async def test_who_is_no_longer_known_is_forgotten(attendance: Attendance, told_of: Worker | None) -> None:
    attendance.went(W1)
    attendance.compare("w1", told_of)
    attendance.gave_up(W1)
    attendance.say_everything()
    assert await told(attendance) == LinkReport((), complete=True)


async def test_a_suspicion_that_is_wrong_is_contradicted(attendance: Attendance) -> None:
    attendance.came(W1)
    await told(attendance)
    attendance.compare("w1", a_worker("w1", state=WorkerState.UNHEALTHY))
    assert await silent(attendance)
    attendance.compare("w1", a_worker("w1", state=WorkerState.SUSPECT))
    assert await told(attendance) == LinkReport((LinkState(W1, connected=True, running=0),))


async def test_a_suspicion_that_is_right_is_not_repeated(attendance: Attendance) -> None:
    attendance.went(W1)
    await told(attendance)
    attendance.compare("w1", a_worker("w1", state=WorkerState.SUSPECT))
    assert await silent(attendance)


class TestInARouter:
    async def test_a_worker_that_attaches_breaks_off_and_stays_away(self, bench: RouterBench) -> None:
        worker = bench.worker()
        assert (await told(bench.core.attendance)).links == (LinkState(W1, connected=True, running=0),)
        await bench.dispatch(a_run())
        worker.accept("t1")
        worker.hang_up()
        assert (await told(bench.core.attendance)).links == (LinkState(W1, False, running=1, given_up_in=10.0),)
        await bench.advance(10)
        assert (await told(bench.core.attendance)).links == (LinkState(W1, False, running=0),)
        bench.attach(W1, in_hand("t1"))
        assert (await told(bench.core.attendance)).links == (LinkState(W1, connected=True, running=0),)

    async def test_a_stream_that_was_superseded_did_not_go(self, bench: RouterBench) -> None:
        old = bench.worker()
        bench.attach(W1)
        await told(bench.core.attendance)
        old.hang_up()
        assert await silent(bench.core.attendance)

    async def test_a_worker_that_the_registry_removed_is_not_spoken_of(self, bench: RouterBench) -> None:
        worker = bench.worker()
        bench.core.hear(WorkerRemoved("w1"))
        worker.hang_up()
        await bench.advance(10)
        assert not bench.core.attendance._streams
        assert not bench.core.attendance._untold

    async def test_every_snapshot_asks_for_everything_once_it_is_complete(self, clock: FakeClock) -> None:
        core = RouterCore(Policy(), Graces(), clock, Random(7), "router-1")
        core.hear(FleetSnapshot((a_worker(),), complete=False, first=True))
        assert await silent(core.attendance)
        core.hear(FleetSnapshot((), complete=True))
        assert await told(core.attendance) == LinkReport((), complete=True)

    async def test_a_router_trusts_its_own_line_more_than_a_suspicion(self, bench: RouterBench) -> None:
        bench.worker(a_worker(state=WorkerState.SUSPECT))
        planner = await bench.dispatch(a_run())
        assert planner.story == ["assigned to w1"]

    async def test_a_suspect_worker_that_is_not_here_gets_no_work(self, bench: RouterBench) -> None:
        bench.register(a_worker(state=WorkerState.SUSPECT))
        planner = await bench.dispatch(a_run())
        assert planner.story == ["waits: no_worker_available"]
