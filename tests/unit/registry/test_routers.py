"""Which Routers are alive."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from devteam_registry.awake import AwakeTime
from devteam_registry.changes import Changes
from devteam_registry.domain import Change, Router, RouterList
from devteam_registry.routers import LISTED_GRACE, ROUTER_GRACE, Routers, reachable_at

from tests.fakes.clock import FakeClock

ONE, TWO = Router("router-1", "r1:7402"), Router("router-2", "r2:7402")


class House:
    """Routers, their clock, and what a watcher was told of them."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._awake = AwakeTime(clock, 1.0)
        changes = Changes[Change]()
        self._held = ExitStack()
        self._feed = self._held.enter_context(changes.subscribed())
        self.routers = Routers(self._awake, changes)

    def pass_time(self, seconds: float) -> list[str]:
        """Second by second; the Routers that are gone for good."""
        gone: list[str] = []
        for _ in range(int(seconds)):
            self._clock.advance(1.0)
            self._awake.tick()
            gone += self.routers.sweep()
        return gone

    async def told(self) -> list[list[str]]:
        """The ids of each list since last asked."""
        lists: list[list[str]] = []
        while not self._feed._waiting.empty():
            event = await self._feed.next()
            assert isinstance(event, RouterList)
            lists.append([router.router_id for router in event.routers])
        return lists

    def close(self) -> None:
        self._held.close()


@pytest.fixture
def house(clock: FakeClock) -> Iterator[House]:
    made = House(clock)
    yield made
    made.close()


async def test_a_router_is_listed_while_it_watches_and_a_little_longer(house: House) -> None:
    """Watchers are told when it comes and when it is off the list."""
    with house.routers.watching(TWO), house.routers.watching(ONE):
        assert house.routers.listed == RouterList((ONE, TWO))
        house.pass_time(60)
    house.pass_time(LISTED_GRACE - 1)
    assert house.routers.listed == RouterList((ONE, TWO))
    house.pass_time(1)
    assert house.routers.listed == RouterList(())
    assert await house.told() == [["router-2"], ["router-1", "router-2"], []]


async def test_several_watches_of_one_router_count_once(house: House) -> None:
    """It leaves with the last of them."""
    with house.routers.watching(ONE):
        with house.routers.watching(ONE):
            pass
        house.pass_time(60)
        assert house.routers.listed == RouterList((ONE,))
    assert await house.told() == [["router-1"]]


async def test_a_watch_that_is_back_in_time_changes_nothing(house: House) -> None:
    for _ in range(3):
        with house.routers.watching(ONE):
            pass
        house.pass_time(LISTED_GRACE - 1)
    assert await house.told() == [["router-1"]]


def test_who_stays_away_is_gone_for_good_later(house: House) -> None:
    """Named once; the list forgot it long before."""
    with house.routers.watching(ONE):
        pass
    assert house.pass_time(ROUTER_GRACE - 1) == []
    assert house.pass_time(60) == ["router-1"]


async def test_a_router_without_an_address_and_a_watcher_without_a_name_are_not_listed(house: House) -> None:
    with house.routers.watching(Router("router-1", "")), house.routers.watching(Router("", "")):
        assert house.routers.listed == RouterList(())
    assert house.pass_time(60) == ["router-1"]
    assert await house.told() == []


async def test_a_new_process_at_an_address_replaces_the_one_before(house: House) -> None:
    """That one will not come back: it is off the list at once, and gone with the next tick."""
    with house.routers.watching(ONE):
        pass
    successor = Router("router-9", ONE.address)
    with house.routers.watching(successor):
        assert house.routers.listed == RouterList((successor,))
        assert house.pass_time(1) == ["router-1"]
    assert await house.told() == [["router-1"], ["router-9"]]


def test_two_that_watch_at_one_address_are_both_alive(house: House) -> None:
    """They may stand behind one load balancer."""
    twin = Router("router-9", ONE.address)
    with house.routers.watching(ONE), house.routers.watching(twin):
        assert house.routers.listed == RouterList((ONE, twin))


def test_who_speaks_but_does_not_watch_is_gone_after_the_grace(house: House) -> None:
    """A report that arrives after its Router has died is not believed for ever."""
    house.routers.heard("router-1")
    with house.routers.watching(TWO):
        house.routers.heard("router-2")
        assert house.pass_time(60) == ["router-1"]


@pytest.mark.parametrize(
    ("configured", "listed", "expected"),
    [
        ((), (), ()),
        ((), ("r1:1", "r2:1"), ("r1:1", "r2:1")),
        (("lb:1", "r2:1"), ("r1:1", "r2:1", "r3:1"), ("lb:1", "r2:1", "r1:1", "r3:1")),
        (("http://r1:1", "https://r2:1"), ("r1:1", "r2:1"), ("http://r1:1", "https://r2:1", "r2:1")),
        (("http://r1",), ("http://r1:80", "r3:1", "r3:1"), ("http://r1", "r3:1")),
    ],
)
def test_workers_are_told_what_is_set_and_then_who_is_alive(
    configured: tuple[str, ...], listed: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    """Each address once, however it is written: two streams to one Router would fight."""
    routers = tuple(Router(f"router-{number}", address) for number, address in enumerate(listed))
    assert reachable_at(configured, RouterList(routers)) == expected
