"""Which lines a worker keeps, and what it does when some of them break."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager

import pytest
from devteam_worker.domain import AttemptId
from devteam_worker.links import ADRIFT_AFTER, SELF_STOP, Links
from devteam_worker.runs import Runs

from devteam.mesh.tasks import background
from tests.fakes.agent_script import PATIENCE, Play, ScriptedAgent, an_assignment
from tests.fakes.clock import FakeClock

T1 = AttemptId("t1", 1)
A, B, C = "http://a:7400", "http://b:7400", "http://c:7400"


class FakeLine:
    """A line that is up when a test says so."""

    def __init__(self) -> None:
        self.woken = 0
        self.looked = 0
        self.closed = asyncio.Event()

    def wake(self) -> None:
        self.woken += 1

    def look_around(self) -> None:
        self.looked += 1

    async def run(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.closed.set()


class Bench:
    """Links over fake lines; `dialled` has every address as it was opened."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.agent = ScriptedAgent()
        self.runs = Runs(self.agent, lambda router: self.links.wake(router), clock, window_bytes=1024)  # noqa: PLW0108 - bound late
        self.links = Links(self.runs, self._dial, clock)
        self.lines: dict[str, FakeLine] = {}
        self.dialled: asyncio.Queue[str] = asyncio.Queue()
        self._up: dict[str, AbstractContextManager[None]] = {}

    async def opened(self, *addresses: str) -> None:
        async with asyncio.timeout(PATIENCE):
            assert {await self.dialled.get() for _ in addresses} == set(addresses)

    async def closed(self, address: str) -> None:
        await asyncio.wait_for(self.lines[address].closed.wait(), PATIENCE)

    async def settled(self) -> None:
        """Whatever was going to happen has happened."""
        for _ in range(10):
            await asyncio.sleep(0)

    def attach(self, address: str) -> None:
        self._up[address] = self.links.attached(address)
        self._up[address].__enter__()

    def cut(self, address: str) -> None:
        self._up.pop(address).__exit__(None, None, None)

    async def begin(self, router: str) -> Play:
        self.runs.start(an_assignment(), router)
        return await self.agent.started()

    def router(self) -> str:
        item = self.runs.get(T1)
        assert item is not None
        return item.router

    def _dial(self, address: str) -> FakeLine:
        self.dialled.put_nowait(address)
        self.lines[address] = FakeLine()
        return self.lines[address]


@pytest.fixture
async def bench(clock: FakeClock) -> AsyncIterator[Bench]:
    bench = Bench(clock)
    async with bench.runs, background(bench.links.run):
        yield bench


async def test_every_listed_router_has_one_line(bench: Bench) -> None:
    bench.links.follow([A, B])
    await bench.opened(A, B)
    bench.links.follow([B, A])
    bench.links.follow([A, B, C])
    await bench.opened(C)
    await bench.settled()
    assert bench.dialled.empty()


async def test_a_line_to_a_router_that_is_left_out_twice_ends(bench: Bench) -> None:
    """Once is nothing: a Registry that has just started does not know all of them yet."""
    bench.links.follow([A, B])
    await bench.opened(A, B)
    for addresses in ([A], [A, B], [A]):
        bench.links.follow(addresses)
        await bench.settled()
    assert not bench.lines[B].closed.is_set()
    bench.links.follow([A])
    await bench.closed(B)
    bench.links.follow([A, B])
    await bench.opened(B)


async def test_a_line_that_a_run_is_bound_to_stays_until_it_has_none(bench: Bench) -> None:
    bench.links.follow([A, B])
    await bench.opened(A, B)
    await bench.begin(B)
    for _ in range(3):
        bench.links.follow([A])
    await bench.settled()
    assert not bench.lines[B].closed.is_set()
    bench.runs.resume(T1, 0, A)
    await bench.closed(B)


async def test_a_router_that_is_listed_again_while_its_line_ends_gets_a_new_one(bench: Bench) -> None:
    bench.links.follow([A])
    await bench.opened(A)
    first = bench.lines[A]
    for addresses in ([B], [B]):
        bench.links.follow(addresses)
    await bench.closed(A)
    bench.links.follow([A])
    await bench.opened(A, B)
    assert bench.lines[A] is not first


async def test_words_wake_their_own_line_and_changed_hands_wake_all(bench: Bench) -> None:
    bench.links.follow([A, B])
    await bench.opened(A, B)
    play = await bench.begin(A)
    assert (bench.lines[A].looked, bench.lines[B].looked) == (1, 1)
    await play.say("one", "two")
    assert (bench.lines[A].woken, bench.lines[B].woken) == (2, 0)


async def test_a_line_that_stays_broken_for_a_moment_sets_its_runs_adrift(bench: Bench) -> None:
    bench.attach(A)
    bench.attach(B)
    await bench.begin(A)
    bench.cut(A)
    bench.clock.advance(ADRIFT_AFTER - 0.01)
    assert bench.router() == A
    bench.clock.advance(0.01)
    assert bench.router() == ""


async def test_a_line_that_is_up_again_in_time_keeps_its_runs(bench: Bench) -> None:
    bench.attach(A)
    await bench.begin(A)
    bench.cut(A)
    bench.clock.advance(ADRIFT_AFTER / 2)
    bench.attach(A)
    bench.clock.advance(SELF_STOP)
    assert bench.router() == A


async def test_runs_are_stopped_once_every_line_has_been_down_for_long(bench: Bench) -> None:
    """Counted from the moment that the last one broke."""
    bench.attach(A)
    bench.attach(B)
    play = await bench.begin(A)
    bench.cut(A)
    bench.clock.advance(SELF_STOP)
    assert bench.runs.active() == 1
    bench.cut(B)
    bench.clock.advance(SELF_STOP - 0.01)
    assert bench.runs.active() == 1
    bench.clock.advance(0.01)
    assert bench.runs.active() == 0
    await play.has_stopped()


async def test_one_line_is_enough_to_go_on(bench: Bench) -> None:
    bench.attach(A)
    bench.attach(B)
    await bench.begin(A)
    bench.cut(A)
    bench.cut(B)
    bench.clock.advance(SELF_STOP - 0.01)
    bench.attach(B)
    bench.clock.advance(SELF_STOP)
    assert bench.runs.active() == 1


async def test_it_is_cut_off_once_no_line_is_up(bench: Bench) -> None:
    await asyncio.wait_for(bench.links.cut_off(), PATIENCE)
    bench.attach(A)
    bench.attach(B)
    waiting = asyncio.create_task(bench.links.cut_off())
    bench.cut(A)
    await bench.settled()
    assert not waiting.done()
    bench.cut(B)
    await asyncio.wait_for(waiting, PATIENCE)
