"""What operators see of workers and queues, and tell them: `devteam workers`, `drain`, `queues`, `explain`."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from devteam import Availability, QueueInfo, WorkerInfo, WorkerStatus
from devteam.testing import FakeMesh
from tests.rpc.cli.command import Stuck, ran

WORKERS = (
    WorkerInfo(
        id="asus", queues=("gpu-queue", "default"), models=("opus", "ollama:*"), gpu=True, gpu_model="RTX 5080",
        active_tasks=3, concurrency=4,
    ),
    WorkerInfo(id="laptop", status=WorkerStatus.UNHEALTHY, status_reason="no beat for 71 s", queues=("cpu-queue",)),
)  # fmt: skip


async def test_workers_are_shown_as_a_table() -> None:
    """As wide as need be off a terminal, with the reason of an ill one."""
    async with FakeMesh(workers=WORKERS) as mesh:
        table = await ran(mesh, "workers")
        some = await ran(mesh, "workers", "--queue", "cpu-queue", "-o", "jsonl")
        one = await ran(mesh, "worker", "get", "asus")
    assert [" ".join(line.split()) for line in table.out.splitlines()] == [
        "ID STATUS ACTIVE/CAP QUEUES MODELS GPU LAST BEAT UPTIME NEXT WHY",
        "asus healthy 3/4 gpu-queue, default opus, ollama:* RTX 5080 - 0.0 s",
        "laptop unhealthy 0/1 cpu-queue all - - 0.0 s no beat for 71 s",
    ]
    assert json.loads(some.out)["id"] == "laptop"
    assert "gpu-queue, default" in one.out


async def test_operators_tell_workers_what_they_want() -> None:
    """And hear what has become of it."""
    async with FakeMesh(workers=WORKERS) as mesh:
        assert (await ran(mesh, "worker", "cordon", "asus")).err == "asus is cordoned, with 3 running\n"
        assert (await ran(mesh, "worker", "uncordon", "asus")).err == "asus is healthy, with 3 running\n"
        drained = await ran(mesh, "worker", "drain", "asus", "-o", "json")
    assert json.loads(drained.out)["status"] == "draining"


async def test_a_notice_about_the_whole_fleet_is_no_data() -> None:
    """It stands beside it."""
    notice = "deaths are frozen: 6 of 10 workers fell silent together"
    async with FakeMesh(workers=WORKERS, notice=notice) as mesh:
        table = await ran(mesh, "workers")
        data = await ran(mesh, "workers", "-o", "json")
    assert (table.err, data.err) == (f"{notice}\n", f"{notice}\n")
    assert [worker["id"] for worker in json.loads(data.out)] == ["asus", "laptop"]


async def test_an_ill_worker_is_shown_with_what_comes_next_and_when() -> None:
    """And all of it is data."""
    due = datetime.now(UTC) + timedelta(hours=3)
    ill = WorkerInfo(
        id="asus", status=WorkerStatus.SUSPECT, status_reason="its stream to router-1 broke 3 s ago",
        next_status=WorkerStatus.UNHEALTHY, next_status_at=due, router_id="router-1",
    )  # fmt: skip
    lost = WorkerInfo(id="laptop", status=WorkerStatus.LOST, status_reason="no beat for 130 s", next_status_at=due)
    async with FakeMesh(workers=(ill, lost)) as mesh:
        table = await ran(mesh, "workers")
        one = await ran(mesh, "worker", "get", "laptop")
        data = json.loads((await ran(mesh, "workers", "-o", "json")).out)
    first, second = (" ".join(line.split()) for line in table.out.splitlines()[1:])
    assert first.endswith("unhealthy in 3.0 h its stream to router-1 broke 3 s ago")
    assert second.endswith("deregistered in 3.0 h no beat for 130 s")
    assert "deregistered at " in one.out
    assert (data[0]["status"], data[0]["next_status"], data[0]["router_id"]) == ("suspect", "unhealthy", "router-1")
    assert data[0]["next_status_at"].startswith(due.strftime("%Y-%m-%dT%H:%M:%S"))
    assert (data[0]["availability"], data[0]["drain_deadline_at"]) == ("open", None)


@pytest.mark.parametrize("command", [("drain",), ("worker", "drain")])
@pytest.mark.parametrize("deadline", ["3h", "10800"])
async def test_a_drain_may_be_given_a_deadline(command: tuple[str, ...], deadline: str) -> None:
    """What is left of it is told, and kept."""
    async with FakeMesh(workers=WORKERS) as mesh:
        drained = await ran(mesh, *command, "asus", "--deadline", deadline)
        table = await ran(mesh, "workers")
    assert (drained.code, drained.out, drained.err) == (0, "", "asus is draining, with 3 running, 3.0 h left\n")
    assert "hands back in 3.0 h" in table.out


async def test_a_drain_without_a_deadline_leaves_that_to_the_worker() -> None:
    async with FakeMesh(workers=WORKERS) as mesh:
        drained = await ran(mesh, "drain", "asus", "-o", "json")
        unknown = await ran(mesh, "drain", "nobody")
        wrong = await ran(mesh, "drain", "asus", "--deadline", "soon")
    assert json.loads(drained.out)["drain_deadline_at"] is None
    assert (unknown.code, wrong.code) == (3, 2)
    assert "'soon' is no length of time" in wrong.err


async def test_a_drain_that_is_waited_for_ends_when_the_worker_has_left() -> None:
    """Progress goes to stderr, data to stdout."""
    async with FakeMesh(workers=WORKERS) as mesh, mesh.client() as client:
        waiting = asyncio.create_task(ran(mesh, "drain", "asus", "--wait", "--deadline", "3h", "-o", "jsonl"))
        async with asyncio.timeout(60):
            while (await client.get_worker("asus")).availability is not Availability.DRAINING:
                pass
        mesh.remove_worker("asus")
        done = await waiting
    assert (done.code, json.loads(done.out)["id"]) == (0, "asus")
    assert done.err == "asus is draining, with 3 running, 3.0 h left\nasus has left\n"


async def test_a_drain_that_somebody_takes_back_is_not_waited_for() -> None:
    async with FakeMesh(workers=WORKERS) as mesh, mesh.client() as client:
        waiting = asyncio.create_task(ran(mesh, "drain", "asus", "--wait"))
        async with asyncio.timeout(60):
            while (await client.get_worker("asus")).availability is not Availability.DRAINING:
                pass
        await client.update_worker("asus", availability=Availability.CORDONED)
        done = await waiting
    assert done.code == 5
    assert done.err.endswith("asus no longer drains: it was told to be cordoned\n")


async def test_queues_are_shown_and_tasks_explained() -> None:
    stuck = Stuck()
    queues = [QueueInfo(name="gpu-queue", waiting=2, running=4, slots=4, workers=1)]
    async with FakeMesh(stuck.answer, queues=queues) as mesh, mesh.client() as client:
        shown = await ran(mesh, "queues")
        task = await client.create_task("p", model="m", queue="gpu-queue")
        await asyncio.wait_for(stuck.begun.wait(), 60)
        explained = await ran(mesh, "explain", task.id)
    assert shown.out.splitlines()[1].split() == ["gpu-queue", "open", "2", "4", "4", "1", "-", "-"]
    assert explained.out.splitlines()[0] == "runs on fake-1 (queue gpu-queue): the only worker of a fake mesh"


async def test_what_no_router_holds_any_more_is_explained_by_the_planner() -> None:
    """Who ran it, and why there; of what is no task, that is said."""
    async with FakeMesh() as mesh, mesh.client() as client:
        task = await client.create_task("p", model="m")
        await client.wait(task.id)
        ended = await ran(mesh, "explain", task.id)
        nothing = await ran(mesh, "explain", "t-none")
    assert ended.out.splitlines()[0].startswith("succeeded, ran on fake-1")
    assert ended.out.splitlines()[0].endswith(": the only worker of a fake mesh")
    assert nothing.code == 3
    assert "`devteam task list` shows what there is" in nothing.err
