"""What a worker tells of itself when somebody reads its metrics."""

from collections.abc import Iterator

from devteam.mesh.metrics import catalog
from devteam.mesh.metrics.readings import Reading
from devteam_worker.desk import Desk
from devteam_worker.runs import Runs


def read(runs: Runs, desk: Desk) -> Iterator[Reading]:
    """Everything, as of now; on the loop that the worker runs in."""
    yield Reading(catalog.WORKER_RUNS, runs.active())
    yield Reading(catalog.WORKER_SLOTS, desk.concurrency)
