"""What this machine is made of."""

import asyncio
import platform
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own, for two calls

_ASK_GPU = ("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")
_GPU_TIMEOUT = 2.0
_MAX_GPU_MODEL = 128


@dataclass(frozen=True, slots=True)
class Hardware:
    """One machine. `ram_gb` is in gigabytes of 10^9 bytes; `gpu_model` is empty without a GPU."""

    cpu_cores: int
    ram_gb: float
    gpu: bool
    gpu_model: str
    host: str


async def detect(ask_gpu: Sequence[str] = _ASK_GPU, timeout: float = _GPU_TIMEOUT) -> Hardware:
    """Look at this machine. A GPU whose driver does not answer within `timeout` seconds counts as none."""
    gpu_model = await _first_line(ask_gpu, timeout)
    return Hardware(
        cpu_cores=psutil.cpu_count() or 1,
        ram_gb=round(psutil.virtual_memory().total / 1e9, 1),
        gpu=bool(gpu_model),
        gpu_model=gpu_model,
        host=platform.node(),
    )


async def _first_line(command: Sequence[str], timeout: float) -> str:
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
    except OSError:
        return ""
    try:
        async with asyncio.timeout(timeout):
            output, _ = await process.communicate()
    except TimeoutError:
        return ""
    finally:
        await _end(process)
    lines = output.decode(errors="replace").splitlines()
    return lines[0].strip()[:_MAX_GPU_MODEL] if lines and process.returncode == 0 else ""


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
    await process.wait()
