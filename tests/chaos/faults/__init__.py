"""Everything that is done to a mesh."""

from tests.chaos.faults import pairs, services, stores, storms, watchers, workers

FAULTS = [*workers.FAULTS, *services.FAULTS, *pairs.FAULTS, *stores.FAULTS, *watchers.FAULTS, *storms.FAULTS]
