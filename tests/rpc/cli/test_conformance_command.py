"""`devteam conformance worker`."""

import asyncio
import json
import socket
import subprocess
import sys
from pathlib import Path

from devteam_worker.presence import Presences

from tests.rpc.cli.command import Done, ran


async def examined(folder: Path, *scenes: str, slots: int = 2) -> Done:
    """Our own worker, as a process, in these scenes."""
    told = (f"DEVTEAM_CONCURRENCY={slots}", f"DEVTEAM_DATA={folder}", "DEVTEAM_PROVIDER=sim")
    only = [word for scene in scenes for word in ("--only", scene)]
    command = ("env", *told, sys.executable, "-m", "devteam_worker", "start")
    return await ran(None, "conformance", "worker", "--address", "127.0.0.1:0", *only, "-o", "json", "--", *command)


async def test_a_worker_that_passes_is_what_exit_code_0_says(tmp_path: Path) -> None:
    done = await examined(tmp_path, "registers", "accepts-at-once")
    assert done.code == 0, done.err
    assert [(one["scene"], one["outcome"], one["optional"]) for one in json.loads(done.out)] == [
        ("registers", "passed", False),
        ("accepts-at-once", "passed", False),
    ]


async def test_a_worker_that_fails_is_what_exit_code_1_says(tmp_path: Path) -> None:
    done = await examined(tmp_path, "registers", slots=1)
    assert done.code == 1
    [verdict] = json.loads(done.out)
    assert verdict["seen"] == "it declares 1 slots of the queue `conformance`"
    assert "failed  registers" in done.err


def test_what_its_own_servers_log_stands_beside_the_data() -> None:
    log = """
import structlog
from devteam_cli import conformance, main
async def examined(*_):
    structlog.get_logger().error("call failed")
    return []
conformance._examined = examined
main.app(["conformance", "worker"])
"""
    done = subprocess.run([sys.executable, "-c", log], capture_output=True, text=True, check=True)
    assert (done.stdout, "call failed" in done.stderr) == ("", True)


async def test_an_unknown_scene_is_refused() -> None:
    done = await ran(None, "conformance", "worker", "--only", "flies")
    assert done.code == 2
    assert "--only: there is no scene flies; there are accepts-at-once, " in done.err


async def test_an_address_is_a_host_and_a_port() -> None:
    done = await ran(None, "conformance", "worker", "--address", "7410")
    assert (done.code, done.err) == (2, "error: --address: '7410' is not of the form HOST:PORT\n")


async def test_a_port_that_is_taken_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = await ran(None, "conformance", "worker", "--address", address)
    assert done.code == 2
    assert done.err == f"error: cannot listen on {address}: stop what uses the port, or choose another --address\n"


async def test_a_command_that_is_none_is_refused() -> None:
    done = await ran(None, "conformance", "worker", "--address", "127.0.0.1:0", "--", "no-such-program-here")
    assert done.code == 2
    assert done.err.endswith("error: COMMAND: there is no program 'no-such-program-here'\n")


async def test_a_command_that_ends_at_once_is_not_waited_for() -> None:
    command = ("sh", "-c", "echo so it ends >&2; false")
    done = await ran(None, "conformance", "worker", "--address", "127.0.0.1:0", "--", *command)
    assert (done.code, done.out) == (4, "")
    assert "error: the worker's program ended before it registered; its output is in " in done.err
    assert done.err.endswith(".log, and ends with: so it ends\n")


async def test_a_worker_that_a_shell_started_ends_with_it(tmp_path: Path) -> None:
    worker = f"DEVTEAM_DATA={tmp_path} DEVTEAM_PROVIDER=sim {sys.executable} -m devteam_worker start --id w1"
    command = ("sh", "-c", f"{worker}; echo over")
    done = await ran(
        *(None, "conformance", "worker", "--address", "127.0.0.1:0", "--only", "registers", "--", *command)
    )
    assert done.code == 0, done.err
    async with asyncio.timeout(10):
        while Presences(tmp_path / "workers").live():  # noqa: ASYNC110 - the death of a shell's child rings no bell
            await asyncio.sleep(0.01)


async def test_a_start_that_fails_later_is_a_failed_scene(tmp_path: Path) -> None:
    once = tmp_path / "once"
    worker = f"DEVTEAM_DATA={tmp_path} DEVTEAM_PROVIDER=sim exec {sys.executable} -m devteam_worker start"
    command = ("sh", "-c", f"[ -e {once} ] && exit 1; touch {once}; {worker}")
    scenes = ("--only", "registers", "--only", "fresh-instance", "--only", "superseded-instance")
    done = await ran(
        *(None, "conformance", "worker", "--address", "127.0.0.1:0", *scenes, "-o", "json", "--", *command)
    )
    assert done.code == 1
    verdicts = {one["scene"]: one for one in json.loads(done.out)}
    assert [one["outcome"] for one in verdicts.values()] == ["passed", "failed", "failed"]
    assert verdicts["fresh-instance"]["seen"].startswith("the worker's program ended before it registered")
