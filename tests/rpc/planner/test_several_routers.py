"""Which of several Routers an attempt goes to, and what becomes of it when that one is gone."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from devteam_planner.bell import Bell
from devteam_planner.convert.tokens import text_of
from devteam_planner.domain import StepOutcome, TaskSpec, TaskState
from devteam_planner.ports import RouterGone
from devteam_planner.router_client.routers import Routers
from devteam_planner.step_driver import StepDriver
from devteam_planner.token_log import TokenLog

from devteam.mesh.errors import Unavailable
from devteam.mesh.tasks import background
from devteam.v1 import router_pb2
from tests.fakes.clock import FakeClock
from tests.fakes.dispatch_samples import DONE, RUN, Response, tokens
from tests.fakes.hasty_clock import HastyClock
from tests.fakes.router_server import serving
from tests.fakes.step_bench import Bench
from tests.rpc.planner.router_pair import Pair, a_pair

TASK_ID = RUN.task.task_id
SERVICE = ["devteam.v1.RouterService"]
DRAINING = Unavailable("going down", reason="DRAINING")
W1 = router_pb2.WorkerInstance(worker_id="w1", instance_id="i1")
ASSIGNED = Response(assigned=router_pb2.Assigned(worker=W1, decision=router_pb2.Decision(queue="default")))
WAITS = Response(waiting=router_pb2.Waiting(reason=router_pb2.WAIT_REASON_ALL_SLOTS_BUSY))


@pytest.fixture
def hasty() -> HastyClock:
    return HastyClock()


@pytest.fixture
async def pair(hasty: HastyClock) -> AsyncIterator[Pair]:
    async with a_pair(hasty) as started:
        yield started


async def for_ever() -> None:
    await asyncio.Event().wait()


async def lost(pair: Pair) -> None:
    """The first Router dies, and a dispatch finds that out."""
    await pair.first.server.stop()
    with pytest.raises(RouterGone):
        await pair.done()


async def test_every_planner_takes_a_task_to_the_same_router(pair: Pair, hasty: HastyClock) -> None:
    another = Pair(Routers(dict(reversed(pair.channels.items())), hasty), {}, pair.first, pair.second)
    names = [f"t-{number}" for number in range(16)]
    for name in names:
        await pair.done(name)
        await another.done(name)
    assert [name for name in names for _ in range(2) if name in pair.first.dispatched] == pair.first.dispatched
    assert [name for name in names for _ in range(2) if name in pair.second.dispatched] == pair.second.dispatched
    assert set(pair.first.dispatched).isdisjoint(pair.second.dispatched)
    assert pair.first.dispatched
    assert pair.second.dispatched


async def test_an_attempt_goes_elsewhere_when_its_router_dies(pair: Pair) -> None:
    pair.first.servicer.script(WAITS, for_ever)
    async with pair.following() as events:
        await pair.first.server.stop()
        with pytest.raises(RouterGone):
            await asyncio.wait_for(anext(events), 60)
    await pair.done()
    assert pair.second.dispatched == [TASK_ID]


async def test_a_router_that_drains_is_left_alone_until_it_serves_again(pair: Pair, hasty: HastyClock) -> None:
    """Its own health says so, and no dispatch has to find it out."""
    await pair.first.server.announce(SERVICE, serving=False)
    pair.first.servicer.script(DRAINING)
    with pytest.raises(RouterGone):
        await pair.done()
    async with asyncio.timeout(60):
        while len(hasty.slept) < 3:  # it was asked, and asked again
            await pair.done()
    assert pair.first.dispatched == [TASK_ID]
    await pair.first.server.announce(SERVICE, serving=True)
    await pair.back()


async def test_a_router_that_was_started_again_is_used_again(pair: Pair) -> None:
    await lost(pair)
    await pair.done()
    async with serving(pair.first.servicer, pair.first.server.port):
        await pair.back()


async def test_an_attempt_stays_with_a_router_that_has_it(pair: Pair) -> None:
    """Also when the one that comes first is back: what waits there would be placed twice."""
    await pair.first.server.announce(SERVICE, serving=False)
    pair.first.servicer.script(DRAINING)
    with pytest.raises(RouterGone):
        await pair.done()
    pair.second.servicer.script(WAITS, for_ever)
    async with pair.following():
        pass
    await pair.first.server.announce(SERVICE, serving=True)
    await pair.back()
    await pair.done()
    assert pair.second.dispatched[-1] == TASK_ID


async def test_while_no_router_is_up_there_is_nothing_to_hurry_to(pair: Pair) -> None:
    await lost(pair)
    await pair.second.server.stop()
    with pytest.raises(Unavailable) as caught:
        await pair.done()
    assert not isinstance(caught.value, RouterGone)


async def test_a_break_that_is_no_fault_of_the_router_s_does_not_count(pair: Pair) -> None:
    pair.first.servicer.script(tokens(2, "b"))
    with pytest.raises(Unavailable, match="are missing") as caught:
        await pair.done()
    assert not isinstance(caught.value, RouterGone)
    await pair.done()
    assert pair.second.dispatched == []


async def test_acknowledgements_go_to_the_router_that_serves_the_attempt(pair: Pair) -> None:
    """And to all, when nobody here knows which that is."""
    pair.first.servicer.script(WAITS, for_ever)
    async with pair.following():
        pair.client.acknowledge(TASK_ID, 2, 5)
        assert await pair.first.acks() == [(TASK_ID, 5, False)]
    pair.client.acknowledge(TASK_ID, 2, 9, report=True)
    assert await pair.first.acks() == [(TASK_ID, 9, True)]
    pair.client.acknowledge("t-9", 1, 7, report=True)
    assert await pair.second.acks() == await pair.first.acks() == [("t-9", 7, True)]


async def test_a_router_that_hangs_delays_no_acknowledgement_of_another(pair: Pair) -> None:
    pair.first.servicer.ack_gate.clear()
    for number in range(3):
        pair.client.acknowledge("t-9", 1, number)
        assert await pair.second.acks() == [("t-9", number, False)]
    pair.first.servicer.ack_gate.set()


async def test_what_a_dead_router_was_not_told_the_others_are(pair: Pair) -> None:
    """Its workers are with them by now."""
    pair.first.servicer.ack_gate.clear()
    pair.first.servicer.script(WAITS, for_ever)
    async with pair.following():
        pair.client.acknowledge(TASK_ID, 2, 5)
        await pair.first.acks()
        pair.client.acknowledge(TASK_ID, 2, 9, report=True)
        await pair.first.server.stop()
    assert await pair.second.acks() == [(TASK_ID, 9, True)]


async def test_a_cancel_reaches_all_routers(pair: Pair) -> None:
    """Whoever drives the attempt may be another Planner, and have had its reasons."""
    await pair.client.cancel(TASK_ID, 2)
    told = router_pb2.CancelDispatchRequest(task_id=TASK_ID, attempt=2)
    assert pair.first.servicer.cancels == pair.second.servicer.cancels == [told]


async def test_a_cancel_is_repeated_until_the_router_that_serves_the_attempt_hears_it(pair: Pair) -> None:
    pair.first.servicer.script(WAITS, for_ever)
    async with pair.following():
        pair.first.servicer.refusals.extend(Unavailable("not now", retry_after=0.0) for _ in range(4))
        await pair.client.cancel(TASK_ID, 2)
    assert pair.first.servicer.cancels


async def test_a_cancel_does_not_wait_for_a_router_that_is_dead(pair: Pair, hasty: HastyClock) -> None:
    await pair.first.server.stop()
    await pair.client.cancel(TASK_ID, 2)
    assert pair.second.servicer.cancels
    assert sum(hasty.slept) < 5.0


async def test_a_step_is_with_another_router_without_a_pause(pair: Pair) -> None:
    """On a clock that stands still: whoever waits, waits for ever."""
    bench = Bench(HastyClock())
    await bench.add(TaskSpec("Hi", "sim"))
    clock = FakeClock()
    log = TokenLog(bench.token_store, Bell(clock), pair.client.acknowledge, clock)
    driver = StepDriver(
        store=bench.store,
        log=log,
        router=pair.client,
        clock=clock,
        ring=bench.rung.append,
        text_of=text_of,
        jitter=lambda: 1.0,
        on_ended=lambda *_: None,
    )
    said = asyncio.Event()

    async def say() -> None:
        said.set()

    pair.first.servicer.script(ASSIGNED, tokens(1, "Hel"), say, for_ever)
    pair.second.servicer.script(ASSIGNED, tokens(2, "lo", "!"), DONE)
    async with background(log.run), asyncio.timeout(60):
        driving = asyncio.create_task(driver.run("p-1", "p-1.a"))
        await said.wait()
        await pair.first.server.stop()
        assert await driving == StepOutcome(TaskState.SUCCEEDED)
    assert (await bench.task()).output == "Hello!"
    assert (pair.first.dispatched, pair.second.dispatched) == ([TASK_ID], [TASK_ID])
