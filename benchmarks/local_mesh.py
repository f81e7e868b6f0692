"""A mesh as users start it: `devteam up` as a process of its own."""

import asyncio
import os
import re
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class LocalMesh:
    """Where it answers, and the seconds from its start to its ready line."""

    url: str
    seconds_to_ready: float
    pid: int


@asynccontextmanager
async def local_mesh(data: Path, *options: str, **variables: str) -> AsyncIterator[LocalMesh]:
    """Run `devteam up` with one worker, simulated models and no web page; `variables` go into its environment."""
    command: list[str | Path] = [
        Path(sys.executable).with_name("devteam"),
        "up",
        "--port",
        "0",
        "--no-ui",
        "--data",
        data,
        *options,
    ]
    started = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, env={**os.environ, **variables}
    )
    assert process.stdout is not None
    try:
        line = (await process.stdout.readline()).decode()
        address = re.search(r"https?://\S+", line)
        assert address is not None, line
        yield LocalMesh(address.group(), time.perf_counter() - started, process.pid)
    finally:
        process.terminate()
        await process.communicate()
