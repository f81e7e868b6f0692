"""`devteam events`: what happened, and what happens."""

import asyncio
import json
import signal
from datetime import UTC, datetime, timedelta
from typing import Any

from devteam import ServiceStatus, WorkerInfo, WorkerStatus
from devteam.testing import FakeMesh, Run, WorkerLost
from tests.rpc.cli.command import ran
from tests.rpc.cli.test_process import devteam, line_with, rest_of


def told(out: str) -> list[str]:
    return [f"{line['kind']} {line['task_id'] or line['plan_id']}" for line in map(json.loads, out.splitlines())]


async def test_what_happened_is_told_to_its_end() -> None:
    """A line each, as lines of JSON, as one document; only the wanted kinds."""
    async with FakeMesh() as mesh, mesh.client() as client:
        task = await client.create_task("one two", model="m")
        await client.wait(task.id)
        text = await ran(mesh, "events")
        lines = await ran(mesh, "events", "-o", "jsonl", "--since", "10m")
        document = await ran(mesh, "events", "-o", "json", "--kind", "task.succeeded", "--kind", "worker")
        nothing = await ran(mesh, "events", "--kind", "queue")
    assert [line.split()[1:3] for line in text.out.splitlines()] == [
        ["task.queued", task.id],
        ["task.placed", task.id],
        ["task.succeeded", task.id],
    ]
    assert text.out.splitlines()[1].endswith("on fake-1: the only worker of a fake mesh")
    assert told(lines.out) == [f"task.{kind} {task.id}" for kind in ("queued", "placed", "succeeded")]
    assert [event["kind"] for event in json.loads(document.out)] == ["task.succeeded"]
    assert (nothing.code, nothing.out, nothing.err) == (0, "", "")


async def test_a_length_of_time_is_counted_on_the_planners_clock() -> None:
    """By which things happen; it is this one that says it is two hours later."""
    ahead = ServiceStatus(name="planner", clock_ahead=timedelta(hours=2))
    async with FakeMesh(services=[ahead]) as mesh, mesh.client() as client:
        await client.wait((await client.create_task("one", model="m")).id)
        of_late = await ran(mesh, "events", "--since", "1h")
        of_all = await ran(mesh, "events", "--since", "3h")
    assert (of_late.code, of_late.out) == (0, "")
    assert len(of_all.out.splitlines()) == 3


async def test_what_is_asked_for_wrongly_is_refused_with_what_would_be_right() -> None:
    async with FakeMesh() as mesh:
        kind = await ran(mesh, "events", "--kind", "jobs")
        document = await ran(mesh, "events", "--follow", "-o", "json")
        length = await ran(mesh, "events", "--since", "yesterday")
        long = await ran(mesh, "events", "--since", "999999d")
    assert (kind.code, document.code, length.code, long.code) == (2, 2, 2, 2)
    assert "task.failed" in kind.err
    assert "-o jsonl" in document.err
    assert "write 90s, 15m" in length.err


async def test_a_mesh_that_is_not_there_is_unavailable() -> None:
    assert (await ran(None, "events")).code == 4


async def test_following_tells_what_happens_until_it_is_interrupted() -> None:
    """Workers that come, fail and go, and a lost attempt; nothing of what was before."""
    lose = asyncio.Event()

    async def answer(run: Run) -> str:
        if run.attempt == 1:
            await lose.wait()
            raise WorkerLost("fake-1 vanished")
        return "said"

    async with FakeMesh(answer) as mesh, mesh.client() as client:
        before = await client.create_task("p", model="m")
        async with devteam(mesh, "events", "--follow", "-o", "jsonl", "--kind", "worker", "--kind", "task") as process:
            assert process.stdout
            await told_of(process, mesh, "worker.joined")
            mesh.put_worker(WorkerInfo(id="w2", status=WorkerStatus.SUSPECT, status_reason="its stream broke"))
            suspect = await event(process.stdout, "worker.suspect")
            mesh.remove_worker("w2")
            assert (await event(process.stdout, "worker.left"))["text"] == "deregistered"
            lose.set()
            retried = await event(process.stdout, "task.retried")
            done = await event(process.stdout, "task.succeeded")
            process.send_signal(signal.SIGINT)
            code, _, err = await rest_of(process)
    assert (suspect["worker_id"], suspect["text"]) == ("w2", "its stream broke")
    assert (retried["task_id"], done["task_id"], done["attempt"]) == (before.id, before.id, 2)
    assert (code, err.strip()) == (130, "")


async def told_of(process: asyncio.subprocess.Process, mesh: FakeMesh, kind: str) -> dict[str, Any]:
    """Let a worker join until the command says so: until then it was not looking on yet."""
    for _ in range(600):
        mesh.put_worker(WorkerInfo(id="w2", registered_at=datetime.now(UTC)))
        try:
            return await asyncio.wait_for(event(process.stdout, kind), 0.2)
        except TimeoutError:
            continue
    raise AssertionError("nobody looks on")


async def event(stream: asyncio.StreamReader | None, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await line_with(stream, f'"{kind}"'))
    return found
