"""Close to the data."""

from devteam_router.domain import Signature, StrategyName
from devteam_router.sources import Distance, Sources
from devteam_router.stations import Kind
from devteam_router.strategies.base import Rank, Weighed


class Locality:
    """The nearest worker; among equally near ones, the least loaded."""

    name = StrategyName.LOCALITY
    in_turn = False

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def rank(self, signature: Signature, kind: Kind) -> Rank:
        """The distance from the data source."""
        return (self._distance(signature, kind),)

    def merits(self, signature: Signature, kind: Kind) -> str:
        """Name the distance."""
        source = signature.near_data_source
        match self._distance(signature, kind):
            case _ if not source:
                return ""
            case Distance.WORKER:
                return f"has {source} itself"
            case Distance.FAR:
                return f"is not near {source}"
            case near:
                return f"is in the same {near.name.lower()} as {source}"

    def because(self, signature: Signature, queue: str, chosen: Weighed, eligible: int) -> str:
        """Name the distance."""
        source = signature.near_data_source
        match self._distance(signature, chosen.kind):
            case _ if not source:
                return f"the task names no data source, and it was the least loaded of {eligible}"
            case Distance.WORKER:
                return f"it has {source} itself"
            case Distance.FAR:
                return f"no free worker is near {source}, and it was the least loaded of {eligible}"
            case near:
                return f"it is in the same {near.name.lower()} as {source}"

    def _distance(self, signature: Signature, kind: Kind) -> Distance:
        source = signature.near_data_source
        return self._sources.distance(source, kind.worker, kind.host_sources) if source else Distance.FAR
