"""Where a worker works, and what it says of itself there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata

from devteam_worker.domain import Declaration, Machine, Queue
from devteam_worker.hardware import Hardware
from devteam_worker.inventory import Inventory
from devteam_worker.runs import Agent
from devteam_worker.settings import WorkerSettings


@dataclass(frozen=True, slots=True)
class Workplace:
    """Who does the work, and what there is to do it with."""

    agent: Agent
    inventory: Inventory
    tools: tuple[str, ...]
    # Patterns of models; none: every model.
    models: tuple[str, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    simulated: bool = False


def declared(settings: WorkerSettings, workplace: Workplace, hardware: Hardware, instance_id: str) -> Declaration:
    """What a worker with these settings says of itself, at this place of work and on this hardware."""
    queues = tuple(Queue(q.name, q.concurrency, tuple(q.models) or workplace.models) for q in settings.queues)
    return Declaration(
        settings.worker_id,
        instance_id,
        queues,
        settings.concurrency or sum(queue.concurrency for queue in queues),
        _machine(settings, hardware),
        labels=settings.labels,
        local_models=workplace.inventory.models,
        data_sources=tuple(source.name for source in settings.data_sources),
        tools=workplace.tools,
        version=metadata.version("devteam-orchestrator"),
        weight=settings.weight,
        model_aliases=workplace.aliases,
    )


def _machine(settings: WorkerSettings, found: Hardware) -> Machine:
    given, location = settings.resources, settings.location
    return Machine(
        cpu_cores=found.cpu_cores if given.cpu_cores is None else given.cpu_cores,
        ram_gb=found.ram_gb if given.ram_gb is None else given.ram_gb,
        gpu=found.gpu if given.gpu is None else given.gpu,
        gpu_model=found.gpu_model if given.gpu_model is None else given.gpu_model,
        region=location.region,
        zone=location.zone,
        host=location.host or found.host,
    )
