"""Temporal's development server as a child of this process."""

import asyncio
import os
import select
import signal
import sqlite3
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from devteam_cli.inherited_lock import inherited_lock
from devteam_cli.ports import free_port
from devteam_cli.temporal_server import BINARY_VARIABLE, temporal_dev_server
from structlog.testing import capture_logs
from temporalio.client import Client

from devteam.mesh.errors import FailedPrecondition

PARENT = """
import asyncio, sys
from pathlib import Path
from devteam_cli.temporal_server import temporal_dev_server

async def main():
    folder = Path(sys.argv[1])
    async with temporal_dev_server(folder, port=int(sys.argv[2]), ui_port=None, log=folder / "log") as server:
        print(f"pid={server._process.pid}", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_what_was_started_is_there_after_a_restart(tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "temporal.log"
    async with temporal_dev_server(tmp_path, port=port, ui_port=None, log=log) as server:
        assert (server.address, server.ui_url) == (f"127.0.0.1:{port}", "")
        client = await Client.connect(server.address)
        await client.start_workflow("Something", id="kept", task_queue="nobody")
    with sqlite3.connect(tmp_path / "temporal.db") as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    database.close()
    async with temporal_dev_server(tmp_path, port=port, ui_port=None, log=log) as server:
        client = await Client.connect(server.address)
        assert (await client.get_workflow_handle("kept").describe()).workflow_type == "Something"


async def test_a_taken_port_is_said_so(tmp_path: Path) -> None:
    port = free_port()
    async with temporal_dev_server(tmp_path, port=port, ui_port=None, log=tmp_path / "log"):
        with pytest.raises(FailedPrecondition, match=f"127.0.0.1:{port}: address already in use"):
            async with temporal_dev_server(tmp_path, port=port, ui_port=None, log=tmp_path / "log2"):
                pass


async def test_a_server_that_ends_at_once_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "temporal"
    broken.write_text("#!/bin/sh\necho the disk is full\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setenv(BINARY_VARIABLE, str(broken))
    with pytest.raises(FailedPrecondition, match=r"ended with code 3; the end of its log .*:\nthe disk is full"):
        async with temporal_dev_server(tmp_path, port=free_port(), ui_port=None, log=tmp_path / "log"):
            pass


async def test_a_missing_program_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BINARY_VARIABLE, str(tmp_path / "nothing"))
    with pytest.raises(FailedPrecondition, match=f"set {BINARY_VARIABLE} to the path"):
        async with temporal_dev_server(tmp_path, port=free_port(), ui_port=None, log=tmp_path / "log"):
            pass


async def test_a_server_that_crashes_is_noticed(tmp_path: Path) -> None:
    async with temporal_dev_server(tmp_path, port=free_port(), ui_port=None, log=tmp_path / "log") as server:
        os.kill(server._process.pid, signal.SIGKILL)
        assert await asyncio.wait_for(server.exited(), 60) == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
async def test_the_server_does_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, str(tmp_path), str(free_port()), stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(60):
            server = os.pidfd_open(await _announced_pid(parent))
    finally:
        parent.kill()
        await parent.wait()
    assert await asyncio.to_thread(_ends, server)


@pytest.mark.skipif(sys.platform != "linux", reason="as above")
async def test_one_that_is_about_to_end_keeps_its_database_until_then(tmp_path: Path) -> None:
    """It takes its time where the machine is busy, and a mesh that was killed is started again at once."""
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, str(tmp_path), str(free_port()), stdout=asyncio.subprocess.PIPE
    )
    log = tmp_path / "next"
    async with asyncio.timeout(100), AsyncExitStack() as stack:
        before = await _announced_pid(parent)
        os.kill(before, signal.SIGSTOP)
        parent.kill()
        await parent.wait()
        again = temporal_dev_server(tmp_path, port=free_port(), ui_port=None, log=log)
        with capture_logs() as logs:
            starting = asyncio.create_task(stack.enter_async_context(again))
            while not logs:  # noqa: ASYNC110 - a line of a log rings no bell
                await asyncio.sleep(0.01)
            assert logs[0]["event"] == "waiting for the Temporal before to let go of its database"
            assert not log.exists()
            os.kill(before, signal.SIGCONT)
            await Client.connect((await starting).address)


async def test_one_that_does_not_end_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    async with inherited_lock(tmp_path / "temporal.lock", patience=0.0):
        with pytest.raises(FailedPrecondition, match=f"another Temporal has the database in {tmp_path}: end it"):
            async with temporal_dev_server(
                tmp_path, port=free_port(), ui_port=None, log=tmp_path / "log", patience=0.1
            ):
                pass


def _ends(process: int) -> bool:
    """Wait for the process behind a file descriptor."""
    ended: list[int] = select.select([process], [], [], 60)[0]
    os.close(process)
    return bool(ended)


async def _announced_pid(parent: asyncio.subprocess.Process) -> int:
    assert parent.stdout
    async for line in parent.stdout:
        if line.startswith(b"pid="):
            return int(line.removeprefix(b"pid="))
    raise AssertionError("the parent ended before its server was up")
