"""The tightest fit."""

from devteam_router.domain import Signature, StrategyName
from devteam_router.stations import Kind
from devteam_router.strategies.base import Rank, Weighed


class CapabilityMatch:
    """Prefers a worker that has the model in memory, then one that can do little else.

    So a small task never takes a GPU slot while a CPU worker is free.
    """

    name = StrategyName.CAPABILITY_MATCH
    in_turn = False

    def rank(self, signature: Signature, kind: Kind) -> Rank:
        """Loading the model costs most, then fetching it, then an idle GPU, then breadth of models, then memory."""
        worker = kind.worker
        cold = signature.model not in worker.resident_models
        absent = signature.model not in worker.local_models
        return cold, absent, _wasted_gpu(signature, kind), kind.breadth, worker.resources.ram_gb

    def merits(self, signature: Signature, kind: Kind) -> str:
        """Name what makes it fit."""
        worker = kind.worker
        words = []
        if signature.model in worker.resident_models:
            words.append(f"has {signature.model} in memory")
        elif signature.model in worker.local_models:
            words.append(f"has {signature.model} on its disk")
        if _wasted_gpu(signature, kind):
            words.append("its GPU would idle")
        words.append("serves every model" if kind.breadth == float("inf") else "serves few models")
        if worker.resources.ram_gb:
            words.append(f"{worker.resources.ram_gb:g} GB")
        return ", ".join(words)

    def because(self, signature: Signature, queue: str, chosen: Weighed, eligible: int) -> str:
        """Name what made it fit."""
        if signature.model in chosen.kind.worker.resident_models:
            return f"it has {signature.model} in memory"
        return f"it is the tightest fit of {eligible} for {signature.model}"


def _wasted_gpu(signature: Signature, kind: Kind) -> bool:
    wants = signature.requirements
    return kind.worker.resources.gpu and not wants.gpu and not wants.gpu_model
