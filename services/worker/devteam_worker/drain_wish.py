"""A wish to drain, which the owner leaves in a file for a worker at work: a signal alone cannot say by when."""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from devteam_worker.presence import Presence


@dataclass(frozen=True, slots=True)
class DrainWish:
    """For one process alone: its pid, and when it began. `within` is in seconds."""

    pid: int
    began: float
    within: float


def leave_wish(folder: Path, worker: Presence, within: float) -> None:
    """Leave it where the worker looks. Raises OSError."""
    path = _path(folder, worker.worker_id)
    draft = path.with_suffix(".wish-new")
    draft.write_text(json.dumps(asdict(DrainWish(worker.pid, worker.began, within))) + "\n", encoding="utf-8")
    draft.replace(path)


def take_wish(folder: Path, worker_id: str, process: tuple[int, float]) -> float | None:
    """Seconds within which this process shall drain; None: nobody wants it. A wish is heard once."""
    path = _path(folder, worker_id)
    try:
        wish = DrainWish(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    with suppress(OSError):
        path.unlink()
    # A wish that was left for a process which has ended is nobody's.
    return wish.within if (wish.pid, wish.began) == process else None


def _path(folder: Path, worker_id: str) -> Path:
    return folder / f"{worker_id}.wish"
