"""A run waits for a slot near its data, but not for ever and not in vain."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from devteam_router.dispatch import Waits
from devteam_router.domain import Availability, Location, StrategyName, Worker
from devteam_router.frames import Assign
from devteam_router.ports import RoutingChanged, WorkerRemoved
from devteam_router.routing import QueuePolicy, Wishes

from tests.fakes.router_bench import RouterBench, WorkerEnd
from tests.fakes.router_samples import a_run, a_signature, a_worker

NEAR_PAPERS = a_signature(strategy=StrategyName.LOCALITY, near_data_source="papers")
RACK = Location("eu", "eu-1", "rack-7")
PAPERS = frozenset({"papers"})


def near_worker(worker_id: str = "near", slots: int = 1, **rest: Any) -> Worker:
    """It has the data itself."""
    return a_worker(worker_id, queues={"default": slots}, location=RACK, data_sources=PAPERS, **rest)


def far_worker(worker_id: str = "far", slots: int = 9) -> Worker:
    return a_worker(worker_id, queues={"default": slots}, location=Location("us", "us-1"))


def assigned(worker: WorkerEnd) -> list[str]:
    return [frame.run.id.task_id for frame in worker.heard() if isinstance(frame, Assign)]


async def busy_near(bench: RouterBench, near: Worker | None = None) -> WorkerEnd:
    """The near worker's only slot is taken, and a far one is free."""
    worker = bench.worker(near or near_worker())
    await bench.dispatch(a_run("before", signature=NEAR_PAPERS))
    assert assigned(worker) == ["before"]
    bench.worker(far_worker())
    return worker


class TestWait:
    async def test_it_waits_for_the_near_slot_and_says_until_when(self, bench: RouterBench) -> None:
        await busy_near(bench)
        planner = await bench.dispatch(a_run(signature=NEAR_PAPERS))
        assert planner.story == ["waits: waiting_for_locality"]
        waits = planner.events[0]
        assert isinstance(waits, Waits)
        assert waits.wait.until == bench.clock.now() + timedelta(seconds=3)
        assert waits.wait.detail == "a worker nearer to papers may be free soon; any other one will do after that"

    async def test_a_near_slot_that_frees_in_time_takes_it(self, bench: RouterBench) -> None:
        near = await busy_near(bench)
        planner = await bench.dispatch(a_run(signature=NEAR_PAPERS))
        await bench.advance(2.9)
        near.report("before")
        await bench.settled()
        assert planner.story == ["waits: waiting_for_locality", "assigned to near"]

    async def test_after_the_wait_it_goes_far(self, bench: RouterBench) -> None:
        await busy_near(bench)
        planner = await bench.dispatch(a_run(signature=NEAR_PAPERS))
        await bench.advance(2.9)
        assert len(planner.events) == 1
        await bench.advance(0.1)
        assert planner.story == ["waits: waiting_for_locality", "assigned to far"]

    async def test_everyone_waits_from_when_it_came(self, bench: RouterBench) -> None:
        await busy_near(bench)
        planners = []
        for n in range(3):
            planners.append(await bench.dispatch(a_run(f"t{n}", signature=NEAR_PAPERS)))
            await bench.advance(1)
        placed = []
        for _ in range(3):
            placed.append([len(planner.events) == 2 for planner in planners])
            await bench.advance(1)
        assert placed == [[True, False, False], [True, True, False], [True, True, True]]

    async def test_a_far_slot_that_frees_meanwhile_is_left_alone(self, bench: RouterBench) -> None:
        bench.worker(near_worker())
        far = bench.worker(far_worker(slots=1))
        await bench.dispatch(a_run("near", signature=NEAR_PAPERS))
        await bench.dispatch(a_run("elsewhere"))
        planner = await bench.dispatch(a_run(signature=NEAR_PAPERS))
        far.report("elsewhere")
        await bench.settled()
        assert planner.story == ["waits: all_slots_busy", "waits: waiting_for_locality"]
        await bench.advance(3)
        assert planner.story[-1] == "assigned to far"

    async def test_whatever_does_not_care_for_places_takes_the_far_slot_meanwhile(self, bench: RouterBench) -> None:
        await busy_near(bench)
        await bench.dispatch(a_run(signature=NEAR_PAPERS))
        indifferent = await bench.dispatch(a_run("t2"))
        assert indifferent.story == ["assigned to far"]


class TestNoWait:
    async def test_not_at_all_when_a_near_slot_is_free(self, bench: RouterBench) -> None:
        bench.worker(near_worker())
        bench.worker(far_worker())
        assert (await bench.dispatch(a_run(signature=NEAR_PAPERS))).story == ["assigned to near"]

    async def test_not_at_all_when_nobody_near_exists(self, bench: RouterBench) -> None:
        bench.worker(far_worker())
        assert (await bench.dispatch(a_run(signature=NEAR_PAPERS))).story == ["assigned to far"]

    async def test_not_for_somebody_near_who_could_not_run_it(self, bench: RouterBench) -> None:
        bench.worker(near_worker(tools=frozenset({"search"})))
        bench.worker(far_worker())
        bench.register(near_worker("cordoned", availability=Availability.CORDONED))
        signature = a_signature(strategy=StrategyName.LOCALITY, near_data_source="papers", tools=("search",))
        await bench.dispatch(a_run("t0", signature=signature))
        bench.worker(a_worker("other", tools=frozenset({"search"})))
        bench.register(near_worker(availability=Availability.CORDONED, tools=frozenset({"search"})))
        assert (await bench.dispatch(a_run(signature=signature))).story == ["assigned to other"]

    async def test_not_with_other_strategies(self, bench: RouterBench) -> None:
        await busy_near(bench)
        elsewhere = a_signature(near_data_source="papers")
        assert (await bench.dispatch(a_run(signature=elsewhere))).story == ["assigned to far"]

    @pytest.mark.parametrize(
        "wishes",
        [
            Wishes(locality_wait=0.0),
            Wishes(locality_wait=60.0, queues={"default": QueuePolicy(locality_wait=0.0)}),
        ],
        ids=["fleet", "queue"],
    )
    async def test_not_where_operators_do_not_want_it(self, bench: RouterBench, wishes: Wishes) -> None:
        bench.core.hear(RoutingChanged(wishes))
        await busy_near(bench)
        assert (await bench.dispatch(a_run(signature=NEAR_PAPERS))).story == ["assigned to far"]

    async def test_a_longer_wait_by_wish_holds_also_for_what_waits_already(self, bench: RouterBench) -> None:
        await busy_near(bench)
        planner = await bench.dispatch(a_run(signature=NEAR_PAPERS))
        bench.core.hear(RoutingChanged(Wishes(locality_wait=10.0)))
        await bench.advance(9.9)
        assert planner.story == ["waits: waiting_for_locality"]
        await bench.advance(0.1)
        assert planner.story[-1] == "assigned to far"


class TestInVain:
    """Whoever was near goes: then there is nothing left to wait for."""

    @pytest.fixture(params=["itself", "host", "zone"])
    async def near(self, bench: RouterBench, request: pytest.FixtureRequest) -> Worker:
        """The only near worker of the queue, busy; where it is not the holder, somebody out of reach is."""
        if request.param == "itself":
            return near_worker()
        holder = Location("eu", "eu-1", "rack-7" if request.param == "host" else "rack-8")
        bench.worker(a_worker("holder", queues={"data": 1}, location=holder, data_sources=PAPERS))
        return a_worker("near", queues={"default": 1}, location=RACK)

    async def test_it_goes_far_at_once_when_the_near_worker_is_closed(self, bench: RouterBench, near: Worker) -> None:
        await busy_near(bench, near)
        planner = await bench.dispatch(a_run(signature=NEAR_PAPERS))
        assert planner.story == ["waits: waiting_for_locality"]
        bench.register(replace(near, availability=Availability.CORDONED))
        await bench.settled()
        assert planner.story[-1] == "assigned to far"

    async def test_or_when_its_line_breaks(self, bench: RouterBench, near: Worker) -> None:
        end = await busy_near(bench, near)
        planner = await bench.dispatch(a_run(signature=NEAR_PAPERS))
        end.hang_up()
        await bench.settled()
        assert planner.story[-1] == "assigned to far"

    async def test_or_when_it_is_gone(self, bench: RouterBench, near: Worker) -> None:
        await busy_near(bench, near)
        planner = await bench.dispatch(a_run(signature=NEAR_PAPERS))
        bench.core.hear(WorkerRemoved("near"))
        await bench.settled()
        assert planner.story[-1] == "assigned to far"

    async def test_or_when_the_data_moves_away(self, bench: RouterBench, near: Worker) -> None:
        await busy_near(bench, near)
        planner = await bench.dispatch(a_run(signature=NEAR_PAPERS))
        bench.register(a_worker("near", queues={"default": 1}, location=Location("asia")))
        bench.core.hear(WorkerRemoved("holder"))
        await bench.settled()
        assert planner.story[-1] == "assigned to far"


async def test_a_near_worker_that_comes_meanwhile_takes_it(bench: RouterBench) -> None:
    await busy_near(bench)
    planner = await bench.dispatch(a_run(signature=NEAR_PAPERS))
    bench.worker(near_worker("newcomer"))
    await bench.settled()
    assert planner.story == ["waits: waiting_for_locality", "assigned to newcomer"]


async def test_the_decision_says_how_near_it_was(bench: RouterBench) -> None:
    await busy_near(bench)
    planner = await bench.dispatch(a_run(signature=NEAR_PAPERS))
    await bench.advance(3)
    decision = planner.events[-1].decision  # type: ignore[union-attr]  # an AssignedTo
    assert decision.reason == (
        "placed on far by locality because no free worker is near papers, and it was the least loaded of 1"
    )
    assert decision.waited == pytest.approx(3)
