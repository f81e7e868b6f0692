"""Everything that is done to a mesh."""

from tests.chaos.faults import services, stores, storms, watchers, workers

FAULTS = [*workers.FAULTS, *services.FAULTS, *stores.FAULTS, *watchers.FAULTS, *storms.FAULTS]
