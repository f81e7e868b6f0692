"""A run whose Router is gone: its Planner asks another one for it, by the last word that it heard."""

from devteam_router.dispatch import WasLost
from devteam_router.domain import AttemptId
from devteam_router.frames import Assign, Resume

from tests.fakes.router_bench import RouterBench, in_hand
from tests.fakes.router_samples import a_run, a_worker

W1 = a_worker().instance
T1 = AttemptId("t1", 1)


async def test_what_its_worker_never_began_is_said_to_have_cost_nothing(bench: RouterBench) -> None:
    worker = bench.worker()
    planner = await bench.dispatch(a_run(), assigned=W1)
    assert worker.heard() == [Resume(T1, 0)]
    worker.release("t1")
    await bench.advance(1.9)
    assert planner.story == []
    await bench.advance(0.1)
    [end] = planner.events
    assert isinstance(end, WasLost)
    assert end.never_began
    assert bench.held == []


async def test_another_worker_that_was_given_it_since_goes_on_with_it(bench: RouterBench) -> None:
    first, second = bench.worker(), bench.worker(a_worker("w2"))
    planner = await bench.dispatch(a_run(), assigned=W1)
    first.release("t1")
    second.offer(in_hand("t1"))
    assert second.heard() == [Resume(T1, 0)]
    second.say("t1", 1, 1)
    await bench.advance(10)
    assert planner.story == ["adopted on w2", "started", "tokens 1-1"]
    assert bench.held == ["t1/1 on w2"]


async def test_another_worker_may_say_so_before_the_first_one_denies_it(bench: RouterBench) -> None:
    first, second = bench.worker(), bench.worker(a_worker("w2"))
    planner = await bench.dispatch(a_run(), assigned=W1)
    second.offer(in_hand("t1"))
    first.release("t1")
    await bench.advance(10)
    assert planner.story == ["adopted on w2", "started"]
    assert bench.held == ["t1/1 on w2"]


async def test_who_denied_it_is_not_given_it_once_it_is_over(bench: RouterBench) -> None:
    worker = bench.worker()
    await bench.dispatch(a_run(), assigned=W1)
    worker.release("t1")
    await bench.advance(2)
    worker.heard()
    again = await bench.dispatch(a_run(attempt=2))
    assert [frame.run.id for frame in worker.heard() if isinstance(frame, Assign)] == [AttemptId("t1", 2)]
    assert again.story == ["assigned to w1"]


async def test_what_its_planner_has_left_is_not_lost_when_its_worker_comes_back_without_it(bench: RouterBench) -> None:
    """The other Router took it over meanwhile; then that one dies, too."""
    worker = bench.worker()
    planner = await bench.dispatch(a_run())
    worker.accept("t1")
    worker.hang_up()
    await planner.leave()
    bench.core.peers.are({"router-1": "here", "router-2": "there"})
    worker = bench.attach(W1)
    worker.heard()
    again = await bench.dispatch(a_run(), last_seq=3, assigned=W1)
    assert worker.heard() == [Resume(T1, 3)]
    assert again.story == []


async def test_what_was_dispatched_anew_for_another_worker_meanwhile_keeps_its_slot(bench: RouterBench) -> None:
    first, second = bench.worker(), bench.worker(a_worker("w2"))
    await bench.dispatch(a_run(), assigned=W1)
    first.release("t1")
    again = await bench.dispatch(a_run(), last_seq=3, assigned=second.worker)
    second.offer(in_hand("t1"))
    for _ in range(2):
        await bench.advance(5)
        assert bench.held == ["t1/1 on w2"]
    assert again.story == ["adopted on w2", "started"]
