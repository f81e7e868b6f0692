"""What a task leaves behind: rows and bytes in each store, and what its history counts in Temporal.

python -m benchmarks.footprint
"""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # ships no types
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from benchmarks.figures import tell
from benchmarks.local_mesh import local_mesh
from benchmarks.stored_bytes import packed, sizes, tell_tables
from devteam import DevTeamClient
from devteam.mesh.logs import configure_logs
from devteam.specs import Generation

_WORD = "A sentence of forty characters, no more. "
_AT_ONCE = 50
_WAITING = 500
_CREATES_AT_ONCE = 10
# As Temporal Cloud counts: what starts, and what is written by itself.
_ACTIONS = frozenset(
    {
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
        EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
        EventType.EVENT_TYPE_TIMER_STARTED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
        EventType.EVENT_TYPE_MARKER_RECORDED,
    }
)


@dataclass(frozen=True, slots=True)
class Kind:
    """Tasks that are alike: so many, with a prompt of so many bytes and an answer of so many tokens at a speed."""

    name: str
    count: int
    prompt_bytes: int
    tokens: int
    tokens_per_second: float

    @property
    def prompt(self) -> str:
        """A prompt of that length."""
        return (_WORD * (self.prompt_bytes // len(_WORD) + 1))[: self.prompt_bytes]

    @property
    def options(self) -> Mapping[str, object]:
        """What makes the simulated model answer like this."""
        return {"tokens": self.tokens, "tokens_per_second": self.tokens_per_second, "first_token_ms": 0}


KINDS = (
    Kind("short task (20 bytes, 1 token)", 2000, 20, 1, 0),
    Kind("answer at once (2 kB, 500 tokens)", 500, 2000, 500, 0),
    Kind("answer at 50 tokens a second (2 kB, 500 tokens)", 200, 2000, 500, 50),
)

# What is there before it is counted: tables, indexes, a first page of each.
_FIRST = Kind("first", 20, 20, 1, 0)


def main() -> None:
    """Measure, and print one JSON line a figure."""
    configure_logs("benchmarks", level="ERROR")
    asyncio.run(measure())


async def measure() -> None:
    """Every kind on a mesh of its own."""
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as folder:
            await _measure(kind, Path(folder))
            tell_tables(kind.name, kind.count + _FIRST.count, Path(folder) / "planner.db")
    with tempfile.TemporaryDirectory() as folder:
        await _measure_waiting(Path(folder))


async def _measure(kind: Kind, data: Path) -> None:
    async with (
        local_mesh(data, "--no-worker") as mesh,
        _worker(mesh.url, data),
        DevTeamClient(mesh.url, timeout=60) as client,
    ):
        await _run(client, _FIRST)
        before = sizes(data)
        await _run(client, kind)
        await packed(data)
        for name, size in sizes(data).items():
            tell(f"{kind.name}: bytes a task, {name}", (size - before[name]) / kind.count)
        await _tell_history(kind, client)


async def _measure_waiting(data: Path) -> None:
    """Memory of the three services in one process, and of Temporal, for each task that waits for a worker."""
    async with local_mesh(data, "--no-worker") as mesh, DevTeamClient(mesh.url, timeout=60) as client:
        services = psutil.Process(mesh.pid)
        [temporal] = services.children()
        await _wait_in(client, "warm-up", 100)
        before = services.memory_info().rss, temporal.memory_info().rss
        await _wait_in(client, "nobody", _WAITING)
        after = services.memory_info().rss, temporal.memory_info().rss
    for name, less, more in zip(("services", "Temporal"), before, after, strict=True):
        tell(f"a task that waits: bytes of memory, {name}", (more - less) / _WAITING)


async def _wait_in(client: DevTeamClient, queue: str, count: int) -> None:
    """So many tasks in a queue that nobody serves, all of them in the Router's line."""
    room = asyncio.Semaphore(_CREATES_AT_ONCE)

    async def one() -> None:
        async with room:
            await client.create_task(_WORD, model="sim", queue=queue)

    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(one())
    async with asyncio.timeout(300):
        while not any(line.name == queue and line.waiting == count for line in await client.list_queues()):  # noqa: ASYNC110 - nobody tells it unasked
            await asyncio.sleep(0.5)


@asynccontextmanager
async def _worker(url: str, data: Path) -> AsyncIterator[None]:
    command = (Path(sys.executable).with_name("devteam-worker"), "start", "--provider", "sim", "--data", data / "w")
    options = ("--api-url", url, "--concurrency", str(_AT_ONCE))
    process = await asyncio.create_subprocess_exec(
        *command, *options, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert process.stdout is not None
    try:
        async for line in process.stdout:
            if line == b"Ready\n":
                break
        yield
    finally:
        process.terminate()
        await process.communicate()


async def _run(client: DevTeamClient, kind: Kind) -> None:
    """All tasks of a kind, so many at once, to their ends."""
    room = asyncio.Semaphore(_AT_ONCE)

    async def one() -> None:
        async with room:
            how = Generation(options=kind.options)
            task = await client.create_task(kind.prompt, model="sim", generation=how)
            await client.wait(task.id)

    async with asyncio.TaskGroup() as group:
        for _ in range(kind.count):
            group.create_task(one())


async def _tell_history(kind: Kind, client: DevTeamClient) -> None:
    """Events and actions of one task's workflow, by the kind of event."""
    [planner] = [service for service in await client.get_status() if service.name == "planner"]
    [address] = [dependency.address for dependency in planner.dependencies if dependency.name == "temporal"]
    [task] = await client.list_tasks(limit=1)
    temporal = await Client.connect(address)
    workflow = temporal.get_workflow_handle(f"plan-{task.id}")
    await workflow.result()
    history = await workflow.fetch_history()
    tell(f"{kind.name}: events in its history", len(history.events))
    tell(f"{kind.name}: actions", sum(event.event_type in _ACTIONS for event in history.events))
    tell(f"{kind.name}: bytes of its history", sum(event.ByteSize() for event in history.events))


if __name__ == "__main__":
    main()
