"""`devteam conformance worker`."""

import json
import socket
import sys
from pathlib import Path

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
    done = await ran(None, "conformance", "worker", "--address", "127.0.0.1:0", "--", "false")
    assert done.code == 4
    assert "error: the worker's program ended before it registered" in done.err
