"""What a client shows operators of workers and queues, and tells them."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from devteam import Availability, QueueInfo, WorkerInfo, WorkerStatus
from devteam.errors import NotFound
from devteam.testing import FakeMesh, Run


async def test_workers_are_listed_and_told_what_is_wanted() -> None:
    """With everything that the mission's table shows."""
    beat = datetime(2026, 11, 22, 12, tzinfo=UTC)
    gpu = WorkerInfo(
        id="asus",
        active_tasks=3,
        concurrency=4,
        queues=("gpu-queue", "default"),
        models=("opus", "ollama:*"),
        local_models=("ollama:llama3.3",),
        labels={"rack": "3"},
        gpu=True,
        gpu_model="RTX 5080",
        ram_gb=24.0,
        cpu_cores=8,
        last_heartbeat=beat,
        uptime=timedelta(hours=5),
    )
    ill = WorkerInfo(
        id="laptop",
        status=WorkerStatus.UNHEALTHY,
        status_reason="no beat for 71 s",
        next_status=WorkerStatus.LOST,
        next_status_at=beat + timedelta(seconds=49),
        queues=("cpu-queue",),
    )
    async with FakeMesh(workers=[ill, gpu]) as mesh, mesh.client() as client:
        assert await client.get_workers() == [gpu, ill]
        assert await client.get_workers(queue="cpu-queue") == [ill]
        assert await client.get_worker("laptop") == ill
        cordoned = await client.update_worker("asus", availability=Availability.CORDONED, concurrency=2)
        assert (cordoned.status, cordoned.concurrency) == (WorkerStatus.CORDONED, 2)
        assert (await client.update_worker("asus", availability=Availability.OPEN)).status is WorkerStatus.HEALTHY


async def test_a_worker_is_drained_within_a_time_of_ones_own() -> None:
    """A later wish takes the deadline away."""
    async with FakeMesh() as mesh, mesh.client() as client:
        before = datetime.now(UTC)
        drained = await client.drain_worker("fake-1", deadline=timedelta(minutes=5))
        assert (drained.status, drained.availability) == (WorkerStatus.DRAINING, Availability.DRAINING)
        assert drained.drain_deadline_at is not None
        assert before + timedelta(minutes=5) <= drained.drain_deadline_at <= datetime.now(UTC) + timedelta(minutes=5)
        assert (await client.drain_worker("fake-1")).drain_deadline_at is None
        mesh.remove_worker("fake-1")
        assert await client.get_workers() == []
        with pytest.raises(NotFound):
            mesh.remove_worker("fake-1")


async def test_a_list_of_workers_carries_a_notice_about_the_fleet() -> None:
    """Which is empty as a rule."""
    async with FakeMesh() as mesh, mesh.client() as client:
        assert (await client.get_workers()).notice == ""
    async with FakeMesh(notice="deaths are frozen") as mesh, mesh.client() as client:
        assert (await client.get_workers()).notice == "deaths are frozen"


async def test_queues_are_listed_and_tasks_explained() -> None:
    """A task that has ended has nothing left to explain."""
    busy = QueueInfo(name="gpu-queue", waiting=3, running=4, slots=4, workers=1)
    begun, forever = asyncio.Event(), asyncio.Event()

    async def answer(run: Run) -> str:
        begun.set()
        await forever.wait()
        return ""

    async with FakeMesh(answer, queues=[busy]) as mesh, mesh.client() as client:
        assert await client.list_queues() == [busy]
        task = await client.create_task("p", model="m", queue="gpu-queue")
        await asyncio.wait_for(begun.wait(), 60)
        explanation = await client.explain(task.id)
        assert (explanation.worker_id, explanation.queue) == ("fake-1", "gpu-queue")
        await client.cancel_task(task.id)
        with pytest.raises(NotFound):
            await client.explain(task.id)
