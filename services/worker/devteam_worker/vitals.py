"""How the machine is doing."""

from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own, for two calls


@dataclass(frozen=True, slots=True)
class Vitals:
    """Memory, and the disk that a folder lies on, in bytes."""

    memory_available: int
    memory_total: int
    disk_free: int
    disk_total: int

    @property
    def trouble(self) -> str:
        """What is nearly used up, in words; empty: nothing is."""
        short = [
            f"{name} {free / 1e9:.1f} of {total / 1e9:.1f} GB"
            for name, free, total in (
                ("memory", self.memory_available, self.memory_total),
                ("disk", self.disk_free, self.disk_total),
            )
            if total and free / total < _LITTLE
        ]
        return ", ".join(short)


# Of the whole: what is left when it is time to say so.
_LITTLE = 0.05


def take(folder: Path) -> Vitals:
    """Look now. May block, where the folder lies on a disk that does not answer. Raises OSError."""
    memory = psutil.virtual_memory()
    disk = psutil.disk_usage(str(_there(folder)))
    return Vitals(memory.available, memory.total, disk.free, disk.total)


def _there(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next((path for path in (folder, *folder.parents) if path.exists()), Path("/"))
