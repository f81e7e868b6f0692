"""Close to the data."""

from collections.abc import Callable, Iterable, Sequence
from enum import IntEnum

from devteam_router.domain import Candidate, Location, Signature, StrategyName, Worker


class Distance(IntEnum):
    """How far a worker is from a data source."""

    WORKER = 0
    HOST = 1
    ZONE = 2
    REGION = 3
    FAR = 4


class Locality:
    """The nearest worker; among equally near ones, the least loaded.

    A data source is where a worker that has it is, so the whole fleet tells where it can be found.
    """

    name = StrategyName.LOCALITY

    def __init__(self, fleet: Callable[[], Iterable[Worker]]) -> None:
        self._fleet = fleet

    def score(self, signature: Signature, candidate: Candidate) -> tuple[float, ...]:
        """Distance first, then load."""
        return self._distance(signature, candidate.worker), candidate.load

    def picked(self, signature: Signature, candidate: Candidate) -> None:
        """Nothing to remember."""

    def explain(self, signature: Signature, chosen: Candidate, candidates: Sequence[Candidate]) -> str:
        """Name the distance."""
        source = signature.near_data_source
        match self._distance(signature, chosen.worker):
            case _ if not source:
                return f"the task names no data source, and it was the least loaded of {len(candidates)}"
            case Distance.WORKER:
                return f"it has {source} itself"
            case Distance.FAR:
                return f"no free worker is near {source}, and it was the least loaded of {len(candidates)}"
            case near:
                return f"it is in the same {near.name.lower()} as {source}"

    def _distance(self, signature: Signature, worker: Worker) -> Distance:
        source = signature.near_data_source
        if not source:
            return Distance.FAR
        if source in worker.data_sources:
            return Distance.WORKER
        holders = (other.location for other in self._fleet() if source in other.data_sources)
        return min((_between(worker.location, holder) for holder in holders), default=Distance.FAR)


def _between(one: Location, other: Location) -> Distance:
    if one.host and one.host == other.host:
        return Distance.HOST
    if one.zone and (one.region, one.zone) == (other.region, other.zone):
        return Distance.ZONE
    if one.region and one.region == other.region:
        return Distance.REGION
    return Distance.FAR
