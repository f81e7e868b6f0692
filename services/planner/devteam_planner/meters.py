"""What a Planner tells of itself when somebody reads its metrics."""

from collections.abc import Iterator

from devteam.mesh.metrics import catalog
from devteam.mesh.metrics.readings import Reading
from devteam_planner.bell import Bell
from devteam_planner.token_log import TokenLog


def read(log: TokenLog, bell: Bell) -> Iterator[Reading]:
    """Everything, as of now; on the Planner's own event loop. Looks at each plan that is watched."""
    yield Reading(catalog.STREAM_LAG, log.lag())
    yield Reading(catalog.STREAM_BACKLOG, log.pending_bytes, ("planner",))
    yield Reading(catalog.WATCHERS, bell.listeners)
