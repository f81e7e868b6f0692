"""The `devteam` command on a terminal."""

import asyncio
import fcntl
import os
import pty
import re
import signal
import struct
import sys
import termios
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from devteam.testing import FakeMesh, Run, WorkerLost
from tests.rpc.cli.command import ran

DEVTEAM = Path(sys.executable).with_name("devteam")


async def typed(
    mesh: FakeMesh,
    *arguments: str,
    once: tuple[bytes, Callable[[int], object]] | None = None,
    press: tuple[bytes, bytes] | None = None,
    **environment: str,
) -> tuple[int, str]:
    """Exit code and screen of a command on a terminal of 80 x 24, whose settings it must leave as they were.

    `once` is what to wait for on the screen, and what to do with the process id then; `press` what to wait for, and the
    keys to press then.
    """
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(ours)
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    settings = os.environ | {"DEVTEAM_API_URL": mesh.url, "TERM": "xterm-256color", "NO_COLOR": ""} | environment
    process = await asyncio.create_subprocess_exec(
        DEVTEAM, *arguments, stdin=theirs, stdout=theirs, stderr=theirs, env=settings, start_new_session=True
    )
    os.close(theirs)
    screen = bytearray()
    ended = asyncio.Event()
    awaited = once
    keys = press

    def read() -> None:
        nonlocal awaited, keys
        try:
            piece = os.read(ours, 65_536)
        except OSError:  # how Linux says that the other side closed
            piece = b""
        screen.extend(piece)
        if not piece:
            asyncio.get_running_loop().remove_reader(ours)
            ended.set()
            return
        if awaited and awaited[0] in screen:
            awaited[1](process.pid)
            awaited = None
        if keys and keys[0] in screen:
            os.write(ours, keys[1])
            keys = None

    asyncio.get_running_loop().add_reader(ours, read)
    try:
        async with asyncio.timeout(60):
            await ended.wait()
            code = await process.wait()
        assert termios.tcgetattr(ours) == before
    finally:
        os.close(ours)
    return code, screen.decode().replace("\r\n", "\n")


def plain(screen: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen)


async def test_the_answer_streams_and_a_new_attempt_starts_it_again() -> None:
    """On a terminal what a lost worker said is seen, and marked as void."""
    seen = asyncio.Event()

    async def answer(run: Run) -> AsyncIterator[str]:
        yield f"attempt {run.attempt}\x1b[2J"
        if run.attempt == 1:
            await seen.wait()
            raise WorkerLost

    async with FakeMesh(answer) as mesh:
        code, screen = await typed(mesh, "task", "run", "-m", "haiku", "p", once=(b"attempt 1", lambda _: seen.set()))
    assert code == 0
    assert plain(screen).startswith(
        "attempt 1\nattempt 2: worker fake-1 was lost; the answer starts again\nattempt 2\nsucceeded"
    )
    assert "\x1b[2J" not in screen
    assert "\x1b[2m" in screen


async def test_no_color_means_no_colours() -> None:
    async with FakeMesh() as mesh:
        _, screen = await typed(mesh, "task", "run", "-m", "haiku", "p", NO_COLOR="1")
    assert "\x1b" not in screen


async def test_a_plan_is_a_live_tree(tmp_path: Path) -> None:
    """It ends with every step as it became, and the output below."""
    file = tmp_path / "plan.yaml"
    file.write_text(
        "name: research\nsteps:\n- {id: a, prompt: tides, model: m}\n"
        "- {id: b, prompt: '{{a.output}}!', model: m, dependsOn: [a]}\n"
    )
    async with FakeMesh() as mesh:
        code, screen = await typed(mesh, "plan", "run", str(file))
    assert code == 0
    last = plain(screen)[plain(screen).rindex("research succeeded") :].splitlines()
    assert [line[:6] for line in last[1:3]] == ["├── ✓ ", "└── ✓ "]
    assert last[3] == "tides!"
    assert screen.count("\x1b[?25h") == 1  # the cursor is back


async def test_workers_can_be_watched() -> None:
    """Until interrupted."""
    interrupt = (b"fake-1", lambda pid: os.kill(pid, signal.SIGINT))
    async with FakeMesh() as mesh:
        code, screen = await typed(mesh, "workers", "--watch", once=interrupt)
    assert code == 130
    assert "healthy" in plain(screen)
    assert screen.endswith("\x1b[?25h")


async def test_an_interrupt_gives_the_terminal_back(tmp_path: Path) -> None:
    """In the middle of a live plan."""

    async def answer(run: Run) -> AsyncIterator[str]:
        yield "begun"
        await asyncio.Event().wait()

    file = tmp_path / "plan.yaml"
    file.write_text("name: research\nsteps:\n- {id: a, prompt: tides, model: m}\n")
    async with FakeMesh(answer) as mesh:
        interrupt = (b"begun", lambda pid: os.kill(pid, signal.SIGINT))
        code, screen = await typed(mesh, "plan", "run", str(file), once=interrupt)
    assert code == 130
    assert "\x1b[?25h" in screen
    assert "goes on; `devteam plan watch plan-" in plain(screen)


COMMANDS = ("status", "doctor", "workers", "queues", "routing", "task list", "plan list", "worker get fake-1")


@pytest.mark.parametrize("command", COMMANDS)
async def test_no_color_holds_for_every_command(command: str) -> None:
    """Bold letters are no colours, and yet nothing that such a terminal has to obey."""
    async with FakeMesh() as mesh:
        code, screen = await typed(mesh, *command.split(), NO_COLOR="1", DEVTEAM_PROVIDER="sim")
    assert code == 0
    assert "\x1b" not in screen


@pytest.mark.parametrize("command", COMMANDS)
async def test_off_a_terminal_there_are_neither_colours_nor_spinners(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEVTEAM_PROVIDER", "sim")
    monkeypatch.setenv("TERM", "xterm-256color")
    async with FakeMesh() as mesh:
        done = await ran(mesh, *command.split())
    assert (done.code, "\x1b" in done.out + done.err, "\r" in done.out + done.err) == (0, False, False)


async def test_a_status_fits_a_terminal_of_80_columns() -> None:
    async with FakeMesh() as mesh:
        _, screen = await typed(mesh, "status")
    assert "RUNNING" in plain(screen)
    assert max(len(line.rstrip()) for line in plain(screen).splitlines()) <= 80
