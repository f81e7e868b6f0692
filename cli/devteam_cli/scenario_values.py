"""A scenario file's words as the simulation's nouns."""

from collections.abc import Mapping

from devteam_router.domain import Location, Requirements, Resources, Worker, WorkerInstance, WorkerQueue
from devteam_router.routing import ModelLimit, Policy, QueuePolicy, Wishes
from devteam_router.simulation.scenario import (
    HOUR,
    Burst,
    Change,
    FleetIncident,
    Group,
    Scenario,
    Stream,
    ThrottleIncident,
    Work,
)
from devteam_worker.settings import DEFAULT_CONCURRENCY

from devteam_cli.scenario_shape import (
    EventSettings,
    GroupSettings,
    PolicySettings,
    RequirementSettings,
    ScenarioSettings,
    StreamSettings,
)


def scenario_from(settings: ScenarioSettings) -> Scenario:
    """What the file describes."""
    queues = {queue.name for group in settings.fleet for queue in group.queues}
    policy = settings.policy
    return Scenario(
        groups=tuple(_group(group) for group in settings.fleet),
        streams=tuple(_stream(stream) for stream in settings.traffic),
        policy=Policy(policy.strategy, policy.preferences, policy.locality_wait),
        wishes=_wishes(policy, queues),
        incidents=tuple(_incident(event) for event in settings.events),
        hours=settings.hours,
        seed=settings.seed,
    )


def _group(group: GroupSettings) -> Group:
    slots = group.concurrency or DEFAULT_CONCURRENCY
    queues = {queue.name: WorkerQueue(queue.name, queue.concurrency or slots, queue.models) for queue in group.queues}
    machine, place = group.resources, group.location
    worker = Worker(
        WorkerInstance(group.name, ""),
        queues,
        group.concurrency or sum(queue.concurrency for queue in queues.values()),
        Resources(
            gpu=bool(machine.gpu),
            gpu_model=machine.gpu_model or "",
            ram_gb=machine.ram_gb or 0.0,
            cpu_cores=machine.cpu_cores or 0,
        ),
        group.labels,
        Location(place.region, place.zone, place.host),
        frozenset(group.data_sources),
        local_models=frozenset(group.local_models),
        weight=group.weight,
    )
    return Group(group.name, group.count, worker, group.speed, group.load_time, group.models_in_memory)


def _stream(stream: StreamSettings) -> Stream:
    work, burst = stream.duration, stream.burst
    return Stream(
        stream.name,
        stream.model,
        Work(work.mean, work.distribution, work.sigma),
        rate=stream.rate_per_hour or 0.0,
        profile=stream.profile,
        burst=None if burst is None else Burst(burst.count, burst.at * HOUR, burst.within),
        queue=stream.queue or "",
        requirements=_requirements(stream.requirements),
        near=stream.near,
        priority=stream.priority,
        tenant=stream.tenant,
        deadline=stream.deadline,
    )


def _requirements(wants: RequirementSettings) -> Requirements:
    return Requirements(
        wants.gpu,
        wants.gpu_model,
        wants.min_ram_gb,
        wants.min_cpu_cores,
        tuple(sorted(wants.labels.items())),
        tuple(sorted(wants.data_sources)),
    )


def _wishes(policy: PolicySettings, served: set[str]) -> Wishes:
    """Weights of tenants belong to queues: those of the whole policy go to each that does not say its own."""
    queues: Mapping[str, QueuePolicy] = {
        queue.name: QueuePolicy(
            queue.paused, queue.strategy, queue.locality_wait, queue.tenant_weights or policy.tenant_weights
        )
        for queue in policy.queues
    }
    others = {name: QueuePolicy(tenant_weights=policy.tenant_weights) for name in sorted(served)}
    limits = tuple(ModelLimit(limit.model, limit.queue or "", limit.starts_per_minute) for limit in policy.limits)
    return Wishes(queues={**others, **queues}, limits=limits)


def _incident(event: EventSettings) -> FleetIncident | ThrottleIncident:
    at = event.at * HOUR
    if event.throttle is not None and event.lasts is not None:
        return ThrottleIncident(at, event.throttle, event.lasts)
    changes = {
        Change.CORDON: event.cordon,
        Change.UNCORDON: event.uncordon,
        Change.KILL: event.kill,
        Change.JOIN: event.join,
    }
    change, group = next((change, group) for change, group in changes.items() if group is not None)
    return FleetIncident(at, change, group, event.count)
