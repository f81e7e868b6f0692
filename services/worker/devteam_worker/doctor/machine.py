"""Checks of the machine itself."""

import asyncio
import shutil
import tempfile
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own, for one call

from devteam.mesh.finding import Finding, ok, problem, warning
from devteam_worker.doctor.examination import Check, Surroundings
from devteam_worker.hardware import detect

_GB = 1e9
# Below these, in gigabytes: state and logs cannot be written soon; models cannot be pulled; providers' SDKs and answers
# push other things out of memory.
_NO_DISK, _LITTLE_DISK, _LITTLE_MEMORY = 0.1, 2.0, 0.5


async def data_folder(here: Surroundings) -> Finding:
    """Whether state can be written."""
    try:
        await asyncio.to_thread(_write_in, here.data)
    except OSError as error:
        return problem(f"{here.data} cannot be written ({error.strerror})", "give it to this user, or set DEVTEAM_DATA")
    return ok(f"{here.data} can be written")


async def disk(here: Surroundings) -> Finding:
    """Whether there is room where state is kept."""
    free = shutil.disk_usage(_nearest(here.data)).free / _GB
    found = f"{free:.1f} GB free at {here.data}"
    if free < _NO_DISK:
        return problem(found, "make room, or set DEVTEAM_DATA to another disk")
    return warning(found, "make room: models and logs need it") if free < _LITTLE_DISK else ok(found)


async def memory(_: Surroundings) -> Finding:
    """Whether there is memory for work."""
    said = psutil.virtual_memory()
    found = f"{said.available / _GB:.1f} of {said.total / _GB:.1f} GB available"
    if said.available / _GB < _LITTLE_MEMORY:
        return warning(found, "end something else, or lower the concurrency: devteam-worker config set concurrency 1")
    return ok(found)


async def gpu(here: Surroundings) -> Finding:
    """Whether the GPU that was declared, or any, answers."""
    found = await detect()
    if found.gpu:
        return ok(found.gpu_model)
    if here.settings.resources.gpu:
        return warning("declared (resources.gpu), but nvidia-smi names none", "look at the driver: nvidia-smi")
    return ok("none found; models run on processors, or elsewhere")


CHECKS = (
    Check("data folder", data_folder),
    Check("disk", disk),
    Check("memory", memory),
    Check("gpu", gpu),
)


def _write_in(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"devteam")


def _nearest(folder: Path) -> Path:
    """The folder itself, or the first above it that is there."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
