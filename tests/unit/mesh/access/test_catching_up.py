"""Who waits for what is on its way, and what that costs the source."""

import asyncio
from dataclasses import dataclass, field

import pytest

from devteam.mesh.access.catching_up import CatchingUp
from devteam.mesh.errors import Unavailable
from tests.fakes.clock import FakeClock
from tests.fakes.hasty_clock import HastyClock

PATIENCE = 30.0


@dataclass
class Source:
    """Something that goes on, and answers once it may."""

    revision: int = 5
    away: bool = False
    questions: int = 0
    answers: asyncio.Event = field(default_factory=asyncio.Event)

    async def ask(self) -> int:
        self.questions += 1
        revision = self.revision
        await self.answers.wait()
        if self.away:
            raise Unavailable("nobody is there")
        return revision


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def catching_up(source: Source) -> CatchingUp:
    return CatchingUp(source.ask, HastyClock())


async def turns(count: int = 20) -> None:
    """Let the others go as far as they get."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_nobody_waits_where_nothing_is_missing(source: Source, catching_up: CatchingUp) -> None:
    source.answers.set()
    catching_up.heard(5)
    async with asyncio.timeout(PATIENCE):
        await catching_up.wait()


async def test_what_is_on_its_way_is_waited_for(source: Source, catching_up: CatchingUp) -> None:
    source.answers.set()
    catching_up.heard(3)
    waiting = asyncio.create_task(catching_up.wait())
    await turns()
    catching_up.heard(4)
    await turns()
    assert not waiting.done()
    catching_up.heard(5)
    async with asyncio.timeout(PATIENCE):
        await waiting


async def test_who_came_after_a_question_has_one_of_their_own(source: Source, catching_up: CatchingUp) -> None:
    """The answer to an older one may have left before what they wait for happened."""
    catching_up.heard(5)
    first = asyncio.create_task(catching_up.wait())
    await turns()
    source.revision = 6
    crowd = [asyncio.create_task(catching_up.wait()) for _ in range(100)]
    await turns()
    source.answers.set()
    async with asyncio.timeout(PATIENCE):
        await first
        await turns()
        assert (source.questions, any(one.done() for one in crowd)) == (2, False)
        catching_up.heard(6)
        await asyncio.gather(*crowd)
    assert source.questions == 2


async def test_questions_have_a_distance(source: Source) -> None:
    """However many strangers come, one after the other."""
    source.answers.set()
    clock = FakeClock()
    catching_up = CatchingUp(source.ask, clock)
    catching_up.heard(5)
    await catching_up.wait()
    second = asyncio.create_task(catching_up.wait())
    await turns()
    clock.advance(0.04)
    await turns()
    assert source.questions == 1
    clock.advance(0.01)
    async with asyncio.timeout(PATIENCE):
        await second
    assert source.questions == 2


async def test_nobody_waits_for_a_source_that_does_not_answer(source: Source, catching_up: CatchingUp) -> None:
    source.away = True
    source.answers.set()
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*(catching_up.wait() for _ in range(5)))


async def test_nor_for_ever_for_one_that_hangs(source: Source) -> None:
    """And those who come later are not kept by those who gave up."""
    catching_up = CatchingUp(source.ask, HastyClock(), patience=0.05)
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*(catching_up.wait() for _ in range(5)))
        source.answers.set()
        catching_up.heard(5)
        await catching_up.wait()


async def test_a_crowd_beyond_bounds_is_not_kept(source: Source, catching_up: CatchingUp) -> None:
    crowd = [asyncio.create_task(catching_up.wait()) for _ in range(256)]
    await turns()
    async with asyncio.timeout(PATIENCE):
        await catching_up.wait()
    assert not any(one.done() for one in crowd)
    source.answers.set()
    catching_up.heard(5)
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*crowd)
        await catching_up.wait()
