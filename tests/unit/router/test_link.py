"""The Router's end of the workers' streams."""

import asyncio

import pytest
from devteam_router.domain import WorkerInstance
from devteam_router.frames import BeatAck
from devteam_router.link import Link
from devteam_router.links import Links

from devteam.mesh.errors import Aborted, NotFound, ResourceExhausted

W1, W1_AGAIN, W2 = WorkerInstance("w1", "i1"), WorkerInstance("w1", "i2"), WorkerInstance("w2", "i1")


async def test_frames_come_out_in_order_and_the_line_ends_once_they_are_out() -> None:
    link = Link(W1)
    link.send(BeatAck(1))
    link.send(BeatAck(2))
    link.close()
    assert [frame async for frame in link.frames()] == [BeatAck(1), BeatAck(2)]


async def test_a_reader_waits_for_the_next_frame() -> None:
    link = Link(W1)
    frames = link.frames()
    following = asyncio.ensure_future(anext(frames))
    await asyncio.sleep(0)
    assert not following.done()
    link.send(BeatAck(1))
    assert await asyncio.wait_for(following, 60) == BeatAck(1)
    await frames.aclose()


async def test_a_worker_that_does_not_read_is_not_told_more_and_more() -> None:
    """Every word about a run that is not its own is answered: it could fill the Router's memory."""
    link = Link(W1)
    for number in range(150_000):
        link.send(BeatAck(number))
        assert len(link._frames) <= 100_000
    with pytest.raises(ResourceExhausted) as refusal:
        await anext(link.frames())
    assert refusal.value.reason == "SLOW_CONSUMER"


async def test_nothing_is_kept_for_a_line_that_ended_in_an_error() -> None:
    link = Link(W1)
    link.close(Aborted("superseded"))
    link.send(BeatAck(1))
    assert len(link._frames) == 0


async def test_the_first_word_about_the_end_counts() -> None:
    link = Link(W1)
    link.send(BeatAck(1))
    link.close(Aborted("first"))
    link.close(Aborted("second"))
    frames = link.frames()
    assert await anext(frames) == BeatAck(1)
    with pytest.raises(Aborted, match="first"):
        await anext(frames)


def test_the_newer_stream_of_a_worker_wins() -> None:
    links = Links()
    old = links.open(W1)
    new = links.open(W1_AGAIN)
    assert isinstance(old._error, Aborted)
    assert old._error.reason == "SESSION_SUPERSEDED"
    assert [links.connected(worker) for worker in (W1, W1_AGAIN, W2)] == [False, True, False]
    assert not links.drop(old)
    assert links.drop(new)
    assert not links.connected(W1_AGAIN)


def test_frames_reach_the_instance_they_are_meant_for_and_no_other() -> None:
    links = Links()
    link = links.open(W1)
    assert [links.send(worker, BeatAck(1)) for worker in (W1, W1_AGAIN, W2)] == [True, False, False]
    assert list(link._frames) == [BeatAck(1)]


async def test_everyone_hears_a_broadcast_and_it_is_over_once_it_is_out() -> None:
    links = Links()
    opened = [links.open(W1), links.open(W2)]
    broadcast = asyncio.create_task(links.broadcast(BeatAck(1)))
    for link in opened:
        await asyncio.sleep(0)
        assert not broadcast.done()
        link.close()
        assert [frame async for frame in link.frames()] == [BeatAck(1)]
    await asyncio.wait_for(broadcast, 60)


def test_closing_a_stream_that_nobody_has_is_harmless() -> None:
    links = Links()
    links.close("w1", NotFound("worker", "w1"))
    assert not links.connected(W1)
