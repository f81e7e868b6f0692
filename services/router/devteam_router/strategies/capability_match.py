"""The tightest fit."""

from collections.abc import Sequence

from devteam_router.domain import Candidate, Signature, StrategyName


class CapabilityMatch:
    """Prefers a worker that has the model in memory, then one that can do little else.

    So a small task never takes a GPU slot while a CPU worker is free.
    """

    name = StrategyName.CAPABILITY_MATCH

    def score(self, signature: Signature, candidate: Candidate) -> tuple[float, ...]:
        """Cold before warm costs most, then an idle GPU, then breadth of models, then memory, then load."""
        worker = candidate.worker
        cold = signature.model not in worker.resident_models
        idle_gpu = worker.resources.gpu and not signature.requirements.gpu and not signature.requirements.gpu_model
        return cold, idle_gpu, _breadth(candidate), worker.resources.ram_gb, candidate.load

    def picked(self, signature: Signature, candidate: Candidate) -> None:
        """Nothing to remember."""

    def explain(self, signature: Signature, chosen: Candidate, candidates: Sequence[Candidate]) -> str:
        """Name what made it fit."""
        if signature.model in chosen.worker.resident_models:
            return f"it has {signature.model} in memory"
        return f"it is the tightest fit of {len(candidates)} for {signature.model}"


def _breadth(candidate: Candidate) -> float:
    """How many models the worker could run instead; no list means all of them."""
    models = {model for queue in candidate.worker.queues.values() for model in queue.models}
    everything = any(not queue.models for queue in candidate.worker.queues.values())
    return float("inf") if everything else sum(100 if "*" in model else 1 for model in models)
