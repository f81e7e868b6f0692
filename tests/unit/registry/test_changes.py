import asyncio

import pytest
from devteam_registry.changes import Changes, snapshot_of
from devteam_registry.domain import Change, Removed, WorkerView
from devteam_registry.health import Health, WorkerState

from devteam.mesh.errors import ResourceExhausted, Unavailable
from tests.unit.registry.samples import worker


def removal(number: int) -> Removed:
    return Removed(f"w{number}", "i1", "gone")


def view(number: int) -> WorkerView:
    health = Health(WorkerState.HEALTHY, "last beat 0.0 s ago", WorkerState.UNHEALTHY, 60.0)
    return WorkerView(worker(f"w{number}"), health, None, 0.0)


async def test_every_watcher_sees_every_change_in_order() -> None:
    """Two watchers read the same changes, each at its own pace."""
    changes = Changes[Change](limit=10)
    with changes.subscribed() as one, changes.subscribed() as two:
        for number in range(3):
            changes.publish(removal(number))
        expected = [removal(0), removal(1), removal(2)]
        assert [await one.next() for _ in range(3)] == expected
        assert [await two.next() for _ in range(3)] == expected


async def test_a_waiting_watcher_is_woken_by_a_change() -> None:
    """Nobody polls."""
    changes = Changes[Change]()
    with changes.subscribed() as feed:
        waiting = asyncio.create_task(feed.next())
        await asyncio.sleep(0)
        changes.publish(removal(1))
        assert await asyncio.wait_for(waiting, 60) == removal(1)


async def test_a_watcher_that_falls_behind_is_ended_and_others_are_not() -> None:
    """The change over the bound ends the slow one with SLOW_CONSUMER."""
    changes = Changes[Change](limit=2)
    with changes.subscribed() as slow, changes.subscribed() as quick:
        for number in range(3):
            changes.publish(removal(number))
            assert await quick.next() == removal(number)
        with pytest.raises(ResourceExhausted) as caught:
            await slow.next()
        assert caught.value.reason == "SLOW_CONSUMER"
        changes.publish(removal(3))
        assert await quick.next() == removal(3)


async def test_stopping_ends_every_watch_now_and_later() -> None:
    """A stopping Registry leaves no watcher waiting and takes no new one."""
    changes = Changes[Change]()
    with changes.subscribed() as feed:
        changes.stop()
        with pytest.raises(Unavailable) as caught:
            await feed.next()
    assert caught.value.reason == "DRAINING"
    with pytest.raises(Unavailable), changes.subscribed():
        pass


@pytest.mark.parametrize(
    ("count", "parts"), [(0, [0]), (1, [1]), (500, [500]), (501, [500, 1]), (1200, [500, 500, 200])]
)
def test_a_snapshot_comes_in_parts_and_only_the_last_is_complete(count: int, parts: list[int]) -> None:
    """At most 500 workers a part; nobody at all is one complete part."""
    snapshot = snapshot_of([view(number) for number in range(count)])
    assert [len(part.views) for part in snapshot] == parts
    assert [part.complete for part in snapshot] == [False] * (len(parts) - 1) + [True]


async def test_remarks_are_for_those_who_look_closely() -> None:
    """And made only if there are any."""
    changes, made = Changes[Change](limit=2), list[int]()

    def remark() -> Removed:
        made.append(len(made))
        return removal(len(made))

    with changes.subscribed() as router:
        changes.remark(remark)
        assert made == []
        with changes.subscribed(closely=True) as looking:
            changes.remark(remark)
            assert await looking.next() == removal(1)
            for _ in range(3):
                changes.remark(remark)
            with pytest.raises(ResourceExhausted):
                await looking.next()
        changes.publish(removal(9))
        assert await router.next() == removal(9)
