"""What a client tells those who look on, while the mesh goes away and comes back."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

import pytest

from devteam import DevTeamClient, TaskProgress, TasksSeen, TaskState, WorkerInfo, WorkersSeen, WorkerStatus
from devteam.errors import Unavailable
from devteam.testing import FakeMesh, Run

_Seen = TypeVar("_Seen", TasksSeen, WorkersSeen)


class Onlooker(Generic[_Seen]):
    """Gathers what a watch tells until a test has seen enough."""

    def __init__(self, watch: AsyncGenerator[_Seen, None]) -> None:
        self._watch: AsyncGenerator[_Seen, None] = watch

    async def until(self, enough: Callable[[_Seen], bool]) -> list[_Seen]:
        """What is told from now on, up to the first that is enough."""
        told: list[_Seen] = []
        async with asyncio.timeout(60):
            async for seen in self._watch:
                told.append(seen)
                if enough(seen):
                    return told
        raise AssertionError("a watch of this kind never ends")

    async def close(self) -> None:
        await self._watch.aclose()


def has_ended(task_id: str) -> Callable[[TasksSeen], bool]:
    return lambda seen: any(task.id == task_id and task.state.ended for task in seen.tasks)


def is_current(seen: TasksSeen | WorkersSeen) -> bool:
    return seen.current


def is_interrupted(seen: TasksSeen | WorkersSeen) -> bool:
    return bool(seen.interrupted)


async def test_tasks_are_seen_from_their_beginning_to_their_end_without_their_words() -> None:
    """With the tokens they have, for those who want to know."""
    async with FakeMesh() as mesh, mesh.client() as client:
        looking = Onlooker(client.watch_tasks(progress=True))
        assert await looking.until(is_current) == [TasksSeen(current=True)]
        task = await client.create_task("one two three", model="m", system_prompt="be brief")
        told = await looking.until(has_ended(task.id))
        states = [seen.state for one in told for seen in one.tasks]
        assert list(dict.fromkeys(states)) == [TaskState.QUEUED, TaskState.RUNNING, TaskState.SUCCEEDED]
        assert {(seen.prompt, seen.spec.system_prompt, seen.output) for one in told for seen in one.tasks} == {
            ("",) * 3
        }
        assert [one.progress for one in told if one.progress] == [(TaskProgress(task.id, 1, n),) for n in (1, 2, 3)]
        await looking.close()


async def test_ended_tasks_are_seen_by_those_who_ask_for_the_past() -> None:
    """Only from that moment on."""
    async with FakeMesh() as mesh, mesh.client() as client:
        task = await client.create_task("p", model="m")
        ended_at = (await client.wait(task.id)).ended_at
        assert ended_at
        for since, expected in ((None, []), (ended_at, [task.id]), (ended_at + timedelta(microseconds=1), [])):
            looking = Onlooker(client.watch_tasks(since=since))
            [first] = await looking.until(is_current)
            assert [seen.id for seen in first.tasks] == expected
            await looking.close()


async def test_ends_that_came_while_nobody_could_tell_are_told_afterwards_once() -> None:
    """And the break is told."""
    go = asyncio.Event()

    async def answer(run: Run) -> str:
        await go.wait()
        return "said"

    async with FakeMesh(answer) as mesh, mesh.client() as client:
        waiting = await client.create_task("p", model="m")
        looking = Onlooker(client.watch_tasks())
        await looking.until(is_current)
        await mesh.stop()
        [interrupted] = await looking.until(is_interrupted)
        assert interrupted.tasks == ()
        go.set()
        await mesh.start()
        told = await looking.until(has_ended(waiting.id))
        assert sum(task.state.ended for seen in told for task in seen.tasks) == 1
        later = await client.create_task("p", model="m")
        told = await looking.until(has_ended(later.id))
        assert {task.id for seen in told for task in seen.tasks} == {later.id}
        await looking.close()


async def test_workers_are_seen_as_they_come_change_and_go() -> None:
    """And queues that are paused."""
    async with FakeMesh(workers=[WorkerInfo(id="w1")]) as mesh, mesh.client() as client:
        looking = Onlooker(client.watch_workers())
        told = await looking.until(is_current)
        assert [worker.id for seen in told for worker in seen.workers] == ["w1"]
        mesh.put_worker(WorkerInfo(id="w2", active_tasks=1, status=WorkerStatus.SUSPECT))
        [seen] = await looking.until(lambda seen: bool(seen.workers))
        assert [(worker.id, worker.status) for worker in seen.workers] == [("w2", WorkerStatus.SUSPECT)]
        await client.update_queue("gpu", paused=True)
        [seen] = await looking.until(lambda seen: seen.routing is not None)
        assert seen.routing
        assert seen.routing.queue("gpu").paused
        mesh.remove_worker("w1")
        [seen] = await looking.until(lambda seen: bool(seen.removed))
        assert (seen.removed, seen.reasons) == (("w1",), {"w1": "deregistered"})
        await looking.close()


async def test_workers_that_left_meanwhile_are_removed() -> None:
    """Once the whole list was told again."""
    async with FakeMesh(workers=[WorkerInfo(id="w1"), WorkerInfo(id="w2")]) as mesh, mesh.client() as client:
        looking = Onlooker(client.watch_workers())
        await looking.until(is_current)
        await mesh.stop()
        await looking.until(is_interrupted)
        mesh.remove_worker("w1")
        await mesh.start()
        told = await looking.until(is_current)
        assert [worker.id for seen in told for worker in seen.workers] == ["w2"]
        assert [seen.removed for seen in told if seen.removed] == [("w1",)]
        await looking.close()


@pytest.mark.parametrize("kind", ["tasks", "workers"])
async def test_nobody_looks_for_ever_where_no_mesh_is(kind: str) -> None:
    async with DevTeamClient("http://127.0.0.1:1", timeout=0.5) as client, asyncio.timeout(60):
        watch = client.watch_tasks(since=datetime.now(UTC)) if kind == "tasks" else client.watch_workers()
        with pytest.raises(Unavailable):
            await anext(watch)
