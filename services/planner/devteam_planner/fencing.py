"""Writes that came too late, or from the wrong worker, and were refused: said in the log, and counted."""

import structlog

from devteam.mesh.metrics import catalog
from devteam.mesh.metrics.instruments import count as count_up

# The reason of an error that says: the attempt is over, or another worker has it.
FENCED = "FENCED"

_log = structlog.get_logger()


def refused(what: str, task_id: str, attempt: int, *, count: int = 1) -> None:
    """Note that `count` writes of this kind ("tokens", "end", "assigned", "waiting") changed nothing."""
    count_up(catalog.FENCED_WRITES, count, what)
    _log.warning("write refused by the fence", what=what, task_id=task_id, attempt=attempt, count=count)
