"""What removes a worker from the choice, in words."""

from fnmatch import fnmatchcase

from devteam_router.domain import Availability, Requirements, Signature, Worker, WorkerQueue, WorkerState


def serves_model(queue: WorkerQueue, model: str) -> bool:
    """Whether a worker runs this model for this queue."""
    return not queue.models or any(fnmatchcase(model, pattern) for pattern in queue.models)


def serves_tenant(worker: Worker, tenant: str) -> bool:
    """Whether a worker runs what is this tenant's."""
    return worker.tenant in ("", tenant)


def unmet(worker: Worker, signature: Signature) -> str:
    """The first requirement that a worker does not meet, in words; empty when it meets them all."""
    wants: Requirements = signature.requirements
    has = worker.resources
    checks = (
        (wants.gpu and not has.gpu, "has no GPU"),
        (wants.gpu_model.lower() not in has.gpu_model.lower(), f"has no {wants.gpu_model}"),
        (has.ram_gb < wants.min_ram_gb, f"has {has.ram_gb:g} GB of memory, {wants.min_ram_gb:g} are required"),
        (has.cpu_cores < wants.min_cpu_cores, f"has {has.cpu_cores} cores, {wants.min_cpu_cores} are required"),
        *((worker.labels.get(key) != value, f"does not carry the label {key}={value}") for key, value in wants.labels),
        *((tool not in worker.tools, f"does not offer the tool {tool}") for tool in signature.tools),
        *((source not in worker.data_sources, f"does not have {source} at hand") for source in wants.data_sources),
    )
    return next((words for missing, words in checks if missing), "")


def unavailable(worker: Worker, *, connected: bool) -> str:
    """Why a worker takes no new work at all, in words; empty when it does."""
    # SUSPECT is the Registry's word for a broken line, of which this Router knows more than the Registry.
    if worker.state not in {WorkerState.HEALTHY, WorkerState.SUSPECT}:
        return f"is {worker.state}"
    if worker.availability is not Availability.OPEN:
        return f"is {worker.availability}"
    return "" if connected else "is not connected to this router"
