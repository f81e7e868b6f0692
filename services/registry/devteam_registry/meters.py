"""What a Registry tells of itself when somebody reads its metrics."""

from collections.abc import Iterator

from devteam.mesh.metrics import catalog
from devteam.mesh.metrics.readings import Reading
from devteam_registry.domain import Availability
from devteam_registry.health import WorkerState
from devteam_registry.service import Registry


def read(registry: Registry) -> Iterator[Reading]:
    """Everything, as of now, those that there are none of included; on the Registry's own event loop."""
    census = registry.census()
    for state in WorkerState:
        yield Reading(catalog.WORKERS, census.states.get(state, 0), (state.value,))
    for availability in Availability:
        yield Reading(
            catalog.WORKERS_AVAILABILITY, census.availabilities.get(availability, 0), (availability.name.lower(),)
        )
    yield Reading(catalog.ROUTERS, registry.routers_present)
    yield Reading(catalog.DEATHS_FROZEN, census.frozen)
