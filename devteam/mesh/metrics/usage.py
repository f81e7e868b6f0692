"""What a process takes of its machine."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from devteam.mesh.metrics import catalog
from devteam.mesh.metrics.readings import Reading

_STATM = Path("/proc/self/statm")


def usage() -> Iterator[Reading]:
    """Processor time and memory, where the machine tells; from any thread."""
    times = os.times()
    yield Reading(catalog.PROCESS_CPU, times.user + times.system)
    if (resident := _resident()) is not None:
        yield Reading(catalog.PROCESS_MEMORY, resident)


def _resident() -> int | None:
    """Bytes in memory; None where nobody knows."""
    with suppress(OSError):
        return int(_STATM.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    with suppress(ImportError):
        import psutil  # type: ignore[import-untyped]  # ships no types

        return int(psutil.Process().memory_info().rss)
    return None
