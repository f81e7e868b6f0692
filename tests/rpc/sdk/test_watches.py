"""Watches that begin in the middle, and watches that are left."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from devteam import TaskState, Tokens
from devteam.errors import OutOfRange
from devteam.testing import FakeMesh, Run


async def test_watching_past_the_end_is_out_of_range() -> None:
    async with FakeMesh() as mesh, mesh.client() as client:
        task = await client.create_task("one two", model="m")
        await client.wait(task.id)
        with pytest.raises(OutOfRange) as caught:
            await anext(client.watch_task(task.id, attempt=1, after_seq=3))
    assert caught.value.reason == "SEQ_OUT_OF_RANGE"


async def test_a_watch_can_go_on_after_a_given_token() -> None:
    """As another process may do."""
    async with FakeMesh() as mesh, mesh.client() as client:
        task = await client.create_task("one two three", model="m")
        await client.wait(task.id)
        tokens = [
            event async for event in client.watch_task(task.id, attempt=1, after_seq=1) if isinstance(event, Tokens)
        ]
    assert [(event.first_seq, event.text) for event in tokens] == [(2, "two "), (3, "three")]


@pytest.mark.parametrize("kind", ["task", "plan"])
async def test_whoever_asked_for_it_cancels_by_leaving(kind: str) -> None:
    """The watch is broken off in the middle of an answer."""

    async def answer(run: Run) -> AsyncIterator[str]:
        yield "one"
        await asyncio.Event().wait()

    async with FakeMesh(answer) as mesh, mesh.client() as client:
        if kind == "task":
            watched_id = (await client.create_task("p", model="m")).id
            watch = client.watch_task(watched_id, cancel_on_disconnect=True)
        else:
            watched_id = (await client.create_plan("p", [{"id": "a", "prompt": "p", "model": "m"}])).id
            watch = client.watch_plan(watched_id, cancel_on_disconnect=True)
        async for event in watch:
            if isinstance(event, Tokens):
                break
        await watch.aclose()
        async with asyncio.timeout(60):
            done = await client.wait(watched_id)
    assert done.state.value == "cancelled"


async def test_leaving_cancels_nothing_otherwise() -> None:
    said = asyncio.Event()

    async def answer(run: Run) -> AsyncIterator[str]:
        yield "one"
        await said.wait()

    async with FakeMesh(answer) as mesh, mesh.client() as client:
        task = await client.create_task("p", model="m")
        watch = client.watch_task(task.id)
        async for event in watch:
            if isinstance(event, Tokens):
                break
        await watch.aclose()
        said.set()
        assert (await client.wait(task.id)).state is TaskState.SUCCEEDED
