"""What a Router has yet to hear."""

import asyncio

from devteam_planner.acks import Ack, Acks


def test_what_is_known_of_an_attempt_only_grows() -> None:
    acks = Acks()
    acks.note([Ack("t-1", 1, 5), Ack("t-1", 1, 7, report=True), Ack("t-1", 2, 1), Ack("t-1", 1, 6)])
    assert acks.all() == [Ack("t-1", 1, 7, report=True), Ack("t-1", 2, 1)]


async def test_what_is_taken_waits_no_longer() -> None:
    acks = Acks()
    acks.note(Ack(f"t-{number}", 1, 1) for number in range(3))
    assert acks.take(2) == [Ack("t-0", 1, 1), Ack("t-1", 1, 1)]
    await asyncio.wait_for(acks.some(), 60)
    assert acks.take(2) == [Ack("t-2", 1, 1)]
    waiting = asyncio.create_task(acks.some())
    await asyncio.sleep(0)
    assert not waiting.done()
    acks.note([Ack("t-3", 1, 1)])
    await asyncio.wait_for(waiting, 60)


def test_what_no_router_takes_is_bounded() -> None:
    acks = Acks()
    acks.note(Ack(f"t-{number}", 1, 1) for number in range(100_001))
    assert (len(acks.all()), acks.all()[0].task_id) == (100_000, "t-1")
