"""Programs that run for as long as this one does."""

import asyncio
import shutil
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import structlog

_log = structlog.get_logger()


@asynccontextmanager
async def child(
    command: Sequence[str], log: Path, *, env: Mapping[str, str], stop_timeout: float
) -> AsyncIterator[Process]:
    """Run a program for as long as the block runs; its stderr is appended to `log`, its stdout can be read.

    It is in a session of its own, so that Ctrl-C in a terminal reaches only this process. At the end it gets SIGTERM,
    and SIGKILL `stop_timeout` seconds later. On Linux it also ends when this process is killed.
    """
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *dying_with_parent(command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=PIPE,
            stderr=output,
            env=env,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        await stop(process, stop_timeout)


async def lines(process: Process) -> AsyncIterator[str]:
    """What the program prints, line by line, until it ends."""
    assert process.stdout is not None
    async for line in process.stdout:
        yield line.decode(errors="replace").rstrip()


def dying_with_parent(command: Sequence[str]) -> list[str]:
    """The command, made to get SIGTERM when this process dies, where the machine can do that."""
    # A signal at the parent's death, without code between fork and exec, which threads would make unsafe.
    setpriv = shutil.which("setpriv") if sys.platform == "linux" else None
    return [setpriv, "--pdeathsig", "TERM", *command] if setpriv else list(command)


async def stop(process: Process, timeout: float) -> None:
    """End the program: SIGTERM, and SIGKILL `timeout` seconds later. Harmless when it has ended."""
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(timeout):
                await process.communicate()
        except TimeoutError:
            _log.warning("a child did not stop in time and is killed", pid=process.pid)
            process.kill()
    await process.wait()
