import os
import platform
import sys

from devteam_worker.hardware import Hardware, detect


def script(code: str) -> tuple[str, ...]:
    """A stand-in for the GPU's own command."""
    return (sys.executable, "-c", code)


async def test_a_machine_without_the_gpus_command_has_no_gpu() -> None:
    hardware = await detect(("no-such-command-anywhere",))

    assert hardware == Hardware(
        cpu_cores=os.cpu_count() or 1,
        ram_gb=round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1),
        gpu=False,
        gpu_model="",
        host=platform.node(),
    )


async def test_the_first_gpu_gives_its_name() -> None:
    hardware = await detect(script("print('NVIDIA GeForce RTX 5080\\nNVIDIA A100')"), timeout=60)

    assert (hardware.gpu, hardware.gpu_model) == (True, "NVIDIA GeForce RTX 5080")


async def test_a_driver_that_fails_counts_as_no_gpu_whatever_it_prints() -> None:
    hardware = await detect(script("print('NVIDIA-SMI has failed'); raise SystemExit(9)"))

    assert (hardware.gpu, hardware.gpu_model) == (False, "")


async def test_a_driver_that_hangs_counts_as_no_gpu() -> None:
    hardware = await detect(script("import time; time.sleep(600)"), timeout=0.1)

    assert (hardware.gpu, hardware.gpu_model) == (False, "")
