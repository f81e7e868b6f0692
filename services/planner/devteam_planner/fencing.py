"""Writes that came too late, or from the wrong worker, and were refused: said in the log, and counted."""

import structlog
from opentelemetry import metrics

from devteam.mesh import names

# The reason of an error that says: the attempt is over, or another worker has it.
FENCED = "FENCED"

_log = structlog.get_logger()
_refused = metrics.get_meter(names.SCOPE).create_counter(
    names.FENCED_WRITES, description="Writes about an attempt that is over, or that another worker has"
)


def refused(what: str, task_id: str, attempt: int, *, count: int = 1) -> None:
    """Note that `count` writes of this kind ("tokens", "end", "assigned", "waiting") changed nothing."""
    _refused.add(count, {names.FENCED_WHAT: what})
    _log.warning("write refused by the fence", what=what, task_id=task_id, attempt=attempt, count=count)
