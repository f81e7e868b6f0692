"""Tasks against a mesh over real gRPC."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

from devteam import FailureReason, Task, TaskChanged, TaskState, Tokens
from devteam.testing import FakeMesh, Run, WorkerLost
from tests.rpc.sdk.watching import spoken


async def test_a_task_is_created_watched_and_fetched() -> None:
    """Its tokens are its output."""
    async with FakeMesh(lambda run: f"you said {run.prompt}") as mesh, mesh.client() as client:
        created = await client.create_task("good morning", model="haiku", queue="cpu", system_prompt="be brief")
        assert (created.prompt, created.model, created.spec.system_prompt) == ("good morning", "haiku", "be brief")
        assert await spoken(client, created.id) == "you said good morning"
        fetched = await client.get_task(created.id)
        assert (fetched.state, fetched.output, fetched.queue) == (TaskState.SUCCEEDED, "you said good morning", "cpu")
        assert fetched.completion is not None
        assert fetched.completion.usage.output_tokens == 4
        assert fetched.usage == fetched.completion.usage


async def test_wait_returns_a_task_with_its_output() -> None:
    """However it ended."""
    async with FakeMesh() as mesh, mesh.client() as client:
        task = await client.create_task("echo this", model="haiku")
        done = await client.wait(task.id)
        assert isinstance(done, Task)
        assert done.output == "echo this"


async def test_creating_twice_with_one_request_id_makes_one_task() -> None:
    """Without one, the client makes a fresh id for each create."""
    async with FakeMesh() as mesh, mesh.client() as client:
        first = await client.create_task("p", model="m", request_id="monday-report")
        again = await client.create_task("p", model="m", request_id="monday-report")
        other = await client.create_task("p", model="m")
        assert first.id == again.id != other.id
        assert len(await client.list_tasks()) == 2


async def test_a_lost_worker_starts_the_answer_again() -> None:
    """What the first attempt said is void, and the second one is announced."""

    async def answer(run: Run) -> AsyncIterator[str]:
        yield f"try {run.attempt}"
        if run.attempt == 1:
            raise WorkerLost("worker w1 was lost")

    async with FakeMesh(answer) as mesh, mesh.client() as client:
        task = await client.create_task("p", model="m")
        done = await client.wait(task.id)
    assert isinstance(done, Task)
    assert (done.output, done.attempt) == ("try 2", 2)


async def test_a_task_that_loses_every_worker_fails() -> None:
    """After as many attempts as its policy allows."""

    def answer(run: Run) -> str:
        raise WorkerLost

    async with FakeMesh(answer) as mesh, mesh.client() as client:
        task = await client.create_task("p", model="m")
        done = await client.wait(task.id)
    assert isinstance(done, Task)
    assert (done.state, done.attempt) == (TaskState.FAILED, 3)
    assert done.failure is not None
    assert done.failure.reason is FailureReason.WORKER_LOST


async def test_a_running_task_can_be_cancelled() -> None:
    """Its watch ends."""
    forever = asyncio.Event()

    async def answer(run: Run) -> AsyncIterator[str]:
        yield "well"
        await forever.wait()

    async with FakeMesh(answer) as mesh, mesh.client() as client:
        task = await client.create_task("p", model="m")
        states = []
        async for event in client.watch_task(task.id):
            if isinstance(event, Tokens):
                await client.cancel_task(task.id)
            if isinstance(event, TaskChanged):
                states.append(event.task.state)
    assert states[-1] is TaskState.CANCELLED


async def test_a_cancel_leaves_a_trail() -> None:
    async def answer(run: Run) -> AsyncIterator[str]:
        yield "one"
        await asyncio.Event().wait()

    async with FakeMesh(answer) as mesh, mesh.client() as client:
        task = await client.create_task("p", model="m")
        async for event in client.watch_task(task.id):
            if isinstance(event, Tokens):
                await client.cancel_task(task.id)
        trail = (await client.get_task(task.id)).cancel_trail
    assert trail is not None
    assert trail.requested_at == trail.stopped_at
    assert trail.model_closed_after == timedelta()
