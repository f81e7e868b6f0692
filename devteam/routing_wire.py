"""The routing policy, to and from the contract's messages. Pure functions, named by direction."""

from collections.abc import Mapping, Sequence

from devteam.routing import ModelLimit, QueuePolicy, Routing
from devteam.scalars import duration_from_proto, duration_to_proto
from devteam.spec_wire import names_to_proto, strategy_from_proto, strategy_to_proto
from devteam.v1 import registry_pb2


def routing_from_proto(routing: registry_pb2.Routing) -> Routing:
    """The whole policy."""
    return Routing(
        strategy=strategy_from_proto(routing.strategy),
        locality_wait=duration_from_proto(routing, "locality_wait"),
        preferences={preference.model: tuple(preference.queues) for preference in routing.preferences},
        queues=tuple(map(queue_policy_from_proto, routing.queues)),
        limits=tuple(
            ModelLimit(model=limit.model, starts_per_minute=limit.starts_per_minute, queue=limit.queue)
            for limit in routing.limits
        ),
    )


def routing_to_proto(routing: Routing) -> registry_pb2.Routing:
    """The policy over the fleet, its queues left out. Raises InvalidInput for what cannot be put into a message."""
    return registry_pb2.Routing(
        strategy=strategy_to_proto("strategy", routing.strategy),
        locality_wait=duration_to_proto(routing.locality_wait),
        preferences=_preferences_to_proto(routing.preferences),
        limits=[
            registry_pb2.ModelLimit(model=limit.model, queue=limit.queue, starts_per_minute=limit.starts_per_minute)
            for limit in routing.limits
        ],
    )


def queue_policy_from_proto(policy: registry_pb2.QueuePolicy) -> QueuePolicy:
    """The policy of one queue."""
    return QueuePolicy(
        name=policy.name,
        paused=policy.paused,
        strategy=strategy_from_proto(policy.strategy),
        locality_wait=duration_from_proto(policy, "locality_wait"),
        tenant_weights=dict(policy.tenant_weights),
    )


def queue_policy_to_proto(policy: QueuePolicy) -> registry_pb2.QueuePolicy:
    """Raises InvalidInput for what cannot be put into a message."""
    return registry_pb2.QueuePolicy(
        name=policy.name,
        paused=policy.paused,
        strategy=strategy_to_proto("strategy", policy.strategy),
        locality_wait=duration_to_proto(policy.locality_wait),
        tenant_weights=policy.tenant_weights,
    )


def _preferences_to_proto(preferences: Mapping[str, Sequence[str]]) -> list[registry_pb2.ModelPreference]:
    return [
        registry_pb2.ModelPreference(model=model, queues=names_to_proto(f"preferences[{model!r}]", queues))
        for model, queues in preferences.items()
    ]
