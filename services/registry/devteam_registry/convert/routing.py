"""The routing and its changes: from the wire to the domain, where all that is wrong is reported together, and back."""

from collections.abc import Collection, Mapping, Sequence

from devteam.mesh.durations import duration_of, seconds_of
from devteam.mesh.validation import NAME_PATTERN, Violations
from devteam.v1 import registry_pb2 as pb
from devteam.v1 import run_pb2
from devteam_registry.convert.checks import check_mask
from devteam_registry.convert.enums import STRATEGIES, STRATEGIES_BY_NUMBER
from devteam_registry.routing import (
    ModelLimit,
    ModelPreference,
    PolicyChange,
    QueuePolicy,
    Routing,
    RoutingChange,
    Strategy,
)

_ROUTING_FIELDS = ("strategy", "locality_wait", "preferences", "limits")
_POLICY_FIELDS = ("paused", "strategy", "locality_wait", "tenant_weights")
_LONGEST_WAIT = 3600.0
_LONGEST_PATTERN = 255
_LONGEST_TENANT = 64
_MOST_ENTRIES = 1_000
_MOST_QUEUES = 16
_MOST_STARTS = 1_000_000


def routing_change_from_proto(request: pb.UpdateRoutingRequest) -> RoutingChange:
    """New values of what the mask names. Raises InvalidInput."""
    found, routing = Violations(), request.routing
    paths = check_mask(found, request.update_mask, _ROUTING_FIELDS)
    with found.at("routing"):
        _check_placing(found, routing, paths)
        if "preferences" in paths:
            _check_preferences(found, routing.preferences)
        if "limits" in paths:
            _check_limits(found, routing.limits)
    found.raise_if_any()
    wanted = Routing(
        strategy=_strategy(routing.strategy),
        locality_wait=_locality_wait(routing),
        preferences=tuple(ModelPreference(each.model, tuple(each.queues)) for each in routing.preferences),
        limits=tuple(ModelLimit(each.model, each.starts_per_minute, each.queue) for each in routing.limits),
    )
    return RoutingChange(wanted, paths)


def policy_change_from_proto(request: pb.UpdateQueueRequest) -> PolicyChange:
    """New values of what the mask names of one queue's policy. Raises InvalidInput."""
    found, policy = Violations(), request.policy
    paths = check_mask(found, request.update_mask, _POLICY_FIELDS)
    with found.at("policy"):
        found.name("name", policy.name)
        _check_placing(found, policy, paths)
        if "tenant_weights" in paths:
            _check_tenant_weights(found, policy.tenant_weights)
    found.raise_if_any()
    wanted = QueuePolicy(
        name=policy.name,
        paused=policy.paused,
        strategy=_strategy(policy.strategy),
        locality_wait=_locality_wait(policy),
        tenant_weights=dict(policy.tenant_weights),
    )
    return PolicyChange(wanted, paths)


def routing_to_proto(routing: Routing) -> pb.Routing:
    """The routing."""
    return pb.Routing(
        strategy=_strategy_to_proto(routing.strategy),
        locality_wait=None if routing.locality_wait is None else duration_of(routing.locality_wait),
        preferences=[pb.ModelPreference(model=each.model, queues=each.queues) for each in routing.preferences],
        queues=[queue_policy_to_proto(policy) for policy in routing.queues],
        limits=[
            pb.ModelLimit(model=each.model, queue=each.queue, starts_per_minute=each.starts_per_minute)
            for each in routing.limits
        ],
    )


def queue_policy_to_proto(policy: QueuePolicy) -> pb.QueuePolicy:
    """How one queue is served."""
    return pb.QueuePolicy(
        name=policy.name,
        paused=policy.paused,
        strategy=_strategy_to_proto(policy.strategy),
        locality_wait=None if policy.locality_wait is None else duration_of(policy.locality_wait),
        tenant_weights=policy.tenant_weights,
    )


def _check_placing(found: Violations, wanted: pb.Routing | pb.QueuePolicy, paths: Collection[str]) -> None:
    if "strategy" in paths:
        found.enum("strategy", wanted.strategy, [0, *STRATEGIES_BY_NUMBER])
    if "locality_wait" in paths:
        found.between("locality_wait", seconds_of(wanted.locality_wait), 0, _LONGEST_WAIT)


def _check_preferences(found: Violations, preferences: Sequence[pb.ModelPreference]) -> None:
    found.count("preferences", len(preferences), _MOST_ENTRIES)
    for index, preference in enumerate(preferences[:_MOST_ENTRIES]):
        with found.at(f"preferences[{index}]"):
            found.text("model", preference.model, limit=_LONGEST_PATTERN, required=True)
            _check_queues(found, preference.queues)


def _check_queues(found: Violations, queues: Sequence[str]) -> None:
    if not queues:
        found.add("queues", "FIELD_REQUIRED", "must name at least one queue")
    found.count("queues", len(queues), _MOST_QUEUES)
    for index, queue in enumerate(queues[:_MOST_QUEUES]):
        found.name(f"queues[{index}]", queue)


def _check_limits(found: Violations, limits: Sequence[pb.ModelLimit]) -> None:
    found.count("limits", len(limits), _MOST_ENTRIES)
    for index, limit in enumerate(limits[:_MOST_ENTRIES]):
        with found.at(f"limits[{index}]"):
            found.text("model", limit.model, limit=_LONGEST_PATTERN, required=True)
            found.name("queue", limit.queue, required=False)
            if not 0 < limit.starts_per_minute <= _MOST_STARTS:
                sentence = f"is {limit.starts_per_minute:.15g}; must be more than 0, at most {_MOST_STARTS}"
                found.add("starts_per_minute", "OUT_OF_BOUNDS", sentence)


def _check_tenant_weights(found: Violations, weights: Mapping[str, float]) -> None:
    found.count("tenant_weights", len(weights), _MOST_ENTRIES)
    for tenant in sorted(weights)[:_MOST_ENTRIES]:
        shown, weight = repr(tenant[:_LONGEST_TENANT]), weights[tenant]
        if len(tenant) > _LONGEST_TENANT or not NAME_PATTERN.fullmatch(tenant):
            found.add("tenant_weights", "ID_FORMAT", f"{shown}: a tenant is 1 to 64 characters of A-Z a-z 0-9 . _ -")
        if not 0.01 <= weight <= 1_000:
            found.add("tenant_weights", "OUT_OF_BOUNDS", f"{shown}: is {weight:.15g}; must be 0.01 to 1000")


def _strategy(number: int) -> Strategy | None:
    return STRATEGIES_BY_NUMBER.get(number)


def _strategy_to_proto(strategy: Strategy | None) -> run_pb2.Strategy.ValueType:
    return STRATEGIES[strategy] if strategy else run_pb2.STRATEGY_UNSPECIFIED


def _locality_wait(wanted: pb.Routing | pb.QueuePolicy) -> float | None:
    return seconds_of(wanted.locality_wait) if wanted.HasField("locality_wait") else None
