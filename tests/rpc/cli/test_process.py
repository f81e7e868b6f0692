"""The `devteam` command as a process that is interrupted, or outlives its mesh."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from devteam import TaskState
from devteam.testing import FakeMesh, Run

DEVTEAM = Path(sys.executable).with_name("devteam")


@asynccontextmanager
async def devteam(mesh: FakeMesh | str, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A running command, for a mesh or its address."""
    process = await asyncio.create_subprocess_exec(
        DEVTEAM,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"DEVTEAM_API_URL": mesh if isinstance(mesh, str) else mesh.url},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def line_with(stream: asyncio.StreamReader | None, text: str) -> str:
    """Read lines until one holds `text`."""
    assert stream is not None
    async with asyncio.timeout(60):
        while line := (await stream.readline()).decode():
            if text in line:
                return line
    raise AssertionError(f"the stream ended without {text!r}")


async def rest_of(process: asyncio.subprocess.Process) -> tuple[int | None, str, str]:
    """Exit code, and what was not read of stdout and stderr."""
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


class Gate:
    """Says what comes before it, and the rest once it is open."""

    def __init__(self) -> None:
        self._open = asyncio.Event()

    def open(self) -> None:
        self._open.set()

    async def answer(self, run: Run) -> AsyncIterator[str]:
        yield "before "
        await self._open.wait()
        yield "after"


async def test_an_interrupt_leaves_the_task_running() -> None:
    """And says how to go on with it."""
    gate = Gate()
    async with FakeMesh(gate.answer) as mesh, mesh.client() as client:
        async with devteam(mesh, "task", "run", "-m", "haiku", "p", "-o", "jsonl") as process:
            await line_with(process.stdout, '"tokens"')
            process.send_signal(signal.SIGINT)
            code, _, err = await rest_of(process)
        [task] = await client.list_tasks()
        assert task.state is TaskState.RUNNING
    assert code == 130
    assert err == (
        f"\n{task.id} goes on; `devteam task watch {task.id}` follows it, `devteam task cancel {task.id}` stops it\n"
    )


async def test_an_outage_in_the_middle_costs_nothing() -> None:
    """The command says so, waits for the mesh, and goes on with the next token."""
    gate = Gate()
    async with FakeMesh(gate.answer) as mesh, devteam(mesh, "task", "run", "-m", "x", "p", "-o", "jsonl") as process:
        first = await line_with(process.stdout, '"tokens"')
        await mesh.stop()
        await line_with(process.stdout, '"interrupted"')
        gate.open()
        await mesh.start()
        second = await line_with(process.stdout, '"tokens"')
        code, _, err = await rest_of(process)
    assert (code, err) == (0, "")
    assert [json.loads(line)["tokens"][0]["text"] for line in (first, second)] == ["before ", "after"]
    assert [json.loads(line)["first_seq"] for line in (first, second)] == [1, 2]


async def test_a_plan_tells_a_line_for_each_change(tmp_path: Path) -> None:
    """On stderr, while it happens."""
    file = tmp_path / "plan.yaml"
    file.write_text("name: n\nsteps:\n- {id: a, prompt: p, model: m}\n- {id: b, prompt: p, model: m, dependsOn: [a]}\n")
    gate = Gate()
    async with FakeMesh(gate.answer) as mesh, devteam(mesh, "plan", "run", str(file)) as process:
        await line_with(process.stderr, "): running")
        gate.open()
        code, out, err = await rest_of(process)
    assert (code, out) == (0, "before after\n")
    told = [line.split(" · ")[0] for line in err.splitlines()]
    assert told[:3] == ["a: succeeded", "b: running on fake-1", "b: succeeded"]


async def test_a_reader_that_leaves_ends_the_command_quietly() -> None:
    """As with `devteam task list | head -1`."""
    async with FakeMesh() as mesh, devteam(mesh, "task", "run", "-m", "x", "p " * 2000, "-o", "jsonl") as process:
        assert process.stdout is not None
        await line_with(process.stdout, "event")
        process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]  # how a shell's pipe breaks
        async with asyncio.timeout(60):
            code = await process.wait()
        assert process.stderr is not None
        assert (code, await process.stderr.read()) == (1, b"")
