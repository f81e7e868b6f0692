"""How operators want runs to be placed, as the Registry tells it; and what Routers tell each other."""

from google.protobuf import duration_pb2

from devteam.mesh.durations import seconds_of
from devteam.mesh.validation import Violations
from devteam.v1 import registry_pb2, router_pb2, run_pb2
from devteam_router.convert.runs import STRATEGIES
from devteam_router.domain import StrategyName
from devteam_router.peers import ThrottleWord
from devteam_router.routing import ModelLimit, QueuePolicy, Wishes

_LONGEST = 86_400.0
_REASON_BYTES = 4_096


def wishes_from_proto(routing: registry_pb2.Routing) -> Wishes:
    """The Registry has checked them; a strategy that this Router does not know is none."""
    return Wishes(
        strategy=_strategy(routing.strategy),
        locality_wait=seconds_of(routing.locality_wait) if routing.HasField("locality_wait") else None,
        preferences={preference.model: tuple(preference.queues) for preference in routing.preferences},
        queues={policy.name: _policy(policy) for policy in routing.queues},
        limits=tuple(ModelLimit(limit.model, limit.queue, limit.starts_per_minute) for limit in routing.limits),
    )


def _policy(policy: registry_pb2.QueuePolicy) -> QueuePolicy:
    return QueuePolicy(
        paused=policy.paused,
        strategy=_strategy(policy.strategy),
        locality_wait=seconds_of(policy.locality_wait) if policy.HasField("locality_wait") else None,
        tenant_weights=dict(policy.tenant_weights),
    )


def _strategy(number: run_pb2.Strategy.ValueType) -> StrategyName | None:
    return STRATEGIES.get(number)


def throttle_from_proto(request: router_pb2.ShareThrottleRequest) -> ThrottleWord:
    """What another Router heard of a model. Raises InvalidInput."""
    found = Violations()
    seconds = seconds_of(request.remaining)
    found.text("model", request.model, limit=255, required=True)
    found.text("reason", request.reason, limit=_REASON_BYTES)
    if not 0 < seconds <= _LONGEST:
        found.add("remaining", "OUT_OF_BOUNDS", "must be more than 0 s and at most a day")
    found.raise_if_any()
    return ThrottleWord(request.model, seconds, request.reason)


def throttle_to_proto(word: ThrottleWord) -> router_pb2.ShareThrottleRequest:
    """What the other Routers shall hear of a model."""
    remaining = duration_pb2.Duration()
    remaining.FromNanoseconds(int(word.seconds * 1e9))
    return router_pb2.ShareThrottleRequest(model=word.model, remaining=remaining, reason=word.reason)
