"""`devteam top`: on a terminal, and off one."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator

import pytest

from devteam import WorkerInfo
from devteam.testing import FakeMesh, Run
from tests.rpc.cli.command import Stuck, ran
from tests.rpc.cli.test_terminal import plain, typed

ENTERED, LEFT, SHOWN = "\x1b[?1049h", "\x1b[?1049l", "\x1b[?25h"
WORKERS = (WorkerInfo(id="fake-1", queues=("default",), concurrency=2),)


async def test_off_a_terminal_it_is_one_picture_as_text() -> None:
    """So it is with --once; and as data."""
    stuck = Stuck()
    async with FakeMesh(stuck.answer, workers=WORKERS) as mesh, mesh.client() as client:
        task = await client.create_task("p", model="m")
        await asyncio.wait_for(stuck.begun.wait(), 60)
        text = await ran(mesh, "top")
        data = await ran(mesh, "top", "--once", "-o", "json")
    lines = text.out.splitlines()
    assert lines[0].startswith("1 worker · 1 running on 2 slots · 0 waiting")
    assert lines[2].split() == ["WORKER", "STATE", "SLOTS", "QUEUES", "LAST", "BEAT"]
    assert lines[3].split() == ["fake-1", "healthy", "1/2", "default", "-"]
    assert any(line.startswith(task.id) for line in lines)
    assert "\x1b" not in text.out
    document = json.loads(data.out)
    assert [worker["id"] for worker in document["workers"]] == ["fake-1"]
    assert [(one["id"], one["worker_id"]) for one in document["running"]] == [(task.id, "fake-1")]
    assert document["waiting"] == []


async def test_a_mesh_that_is_not_there_is_unavailable() -> None:
    assert (await ran(None, "top")).code == 4


async def words(run: Run) -> AsyncIterator[str]:
    while True:
        yield "word "
        await asyncio.sleep(0.01)


async def test_on_a_terminal_it_goes_on_until_q() -> None:
    """And leaves the terminal as it was."""
    async with FakeMesh(words, workers=WORKERS) as mesh, mesh.client() as client:
        task = await client.create_task("p", model="m")
        code, screen = await typed(mesh, "top", press=(task.id.encode(), b"q"))
    assert code == 0
    assert screen.index(ENTERED) < screen.index(LEFT)
    assert SHOWN in screen[screen.rindex(LEFT) - 20 :]
    assert "1 running on 2 slots" in plain(screen)


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_ctrl_c_and_a_termination_leave_the_terminal_as_it_was_too(number: int, expected: int) -> None:
    """With the exit codes of such ends."""
    async with FakeMesh(words, workers=WORKERS) as mesh:
        code, screen = await typed(mesh, "top", once=(b"fake-1", lambda pid: os.kill(pid, number)))
    assert code == expected
    assert screen.rindex(LEFT) > screen.rindex(ENTERED)
    assert SHOWN in screen[screen.rindex(ENTERED) :]


async def test_without_colours_there_are_none() -> None:
    async with FakeMesh(words, workers=WORKERS) as mesh:
        _, screen = await typed(mesh, "top", press=(b"fake-1", b"q"), NO_COLOR="1")
    assert "\x1b[32m" not in screen


async def test_a_mesh_that_goes_away_is_said_and_waited_for() -> None:
    async with FakeMesh(words, workers=WORKERS) as mesh:
        stopping: list[asyncio.Task[None]] = []
        _, screen = await typed(
            mesh,
            "top",
            once=(b"fake-1", lambda _: stopping.append(asyncio.ensure_future(mesh.stop()))),
            press=(b"reconnecting", b"q"),
        )
        await stopping[0]
    assert "the connection is lost" in plain(screen)
