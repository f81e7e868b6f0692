"""How operators want runs to be placed over the whole fleet, and how such wishes change."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from devteam.mesh.errors import InvalidInput, Violation

_MOST_POLICIES = 1_000
# Over all queues together: the whole of it travels to every Router as one message.
_MOST_TENANT_WEIGHTS = 10_000


class Strategy(Enum):
    """How a worker is picked among those that could run a task."""

    ROUND_ROBIN = "round_robin"
    LEAST_LOADED = "least_loaded"
    CAPABILITY_MATCH = "capability_match"
    LOCALITY = "locality"


@dataclass(frozen=True, slots=True)
class ModelPreference:
    """Queues in order of preference for models that match the pattern `model`."""

    model: str
    queues: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ModelLimit:
    """How often runs of models that match may start; an empty `queue` means over the whole fleet."""

    model: str
    starts_per_minute: float
    queue: str = ""


@dataclass(frozen=True, slots=True)
class QueuePolicy:
    """How one queue is served; None is no word of its own. `locality_wait` in seconds."""

    name: str
    paused: bool = False
    strategy: Strategy | None = None
    locality_wait: float | None = None
    tenant_weights: Mapping[str, float] = field(default_factory=dict)

    def seen_by(self, whose: str) -> "QueuePolicy":
        """As those of one tenant may know it: the names of the others are not in it."""
        return replace(
            self, tenant_weights={name: share for name, share in self.tenant_weights.items() if name == whose}
        )

    @property
    def says_something(self) -> bool:
        """Whether the queue is served otherwise than it would be without this policy."""
        return self != QueuePolicy(self.name)


@dataclass(frozen=True, slots=True)
class Routing:
    """How runs are placed; None is left to the Routers' own settings. `locality_wait` in seconds, `queues` by name."""

    strategy: Strategy | None = None
    locality_wait: float | None = None
    preferences: tuple[ModelPreference, ...] = ()
    queues: tuple[QueuePolicy, ...] = ()
    limits: tuple[ModelLimit, ...] = ()

    def seen_by(self, whose: str) -> "Routing":
        """As those of one tenant may know it: what concerns other tenants alone is not in it."""
        policies = (policy.seen_by(whose) for policy in self.queues)
        return replace(self, queues=tuple(policy for policy in policies if policy.says_something))

    def policy(self, queue: str) -> QueuePolicy:
        """The policy of a queue; one that says nothing if it has none."""
        return next((policy for policy in self.queues if policy.name == queue), QueuePolicy(queue))


@dataclass(frozen=True, slots=True)
class RoutingChange:
    """New values of some fields of the routing: those of `wanted` that `fields` names."""

    wanted: Routing
    fields: frozenset[str]

    def applied_to(self, routing: Routing) -> Routing:
        """`routing` with the named fields replaced."""
        return replace(routing, **{name: getattr(self.wanted, name) for name in self.fields})


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """New values of some fields of one queue's policy: those of `wanted` that `fields` names."""

    wanted: QueuePolicy
    fields: frozenset[str]

    def applied_to(self, routing: Routing) -> Routing:
        """`routing` with that policy changed, or dropped if it says nothing any more. Raises InvalidInput."""
        known = routing.policy(self.wanted.name)
        policy = replace(known, **{name: getattr(self.wanted, name) for name in self.fields})
        policies = [other for other in routing.queues if other.name != policy.name]
        if policy.says_something:
            policies.append(policy)
        _refuse_too_many(policies)
        return replace(routing, queues=tuple(sorted(policies, key=lambda each: each.name)))


def _refuse_too_many(policies: Iterable[QueuePolicy]) -> None:
    weights = [len(policy.tenant_weights) for policy in policies]
    for field_name, count, limit in (
        ("policy", len(weights), _MOST_POLICIES),
        ("policy.tenant_weights", sum(weights), _MOST_TENANT_WEIGHTS),
    ):
        if count > limit:
            sentence = f"makes {count} of them over all queues; at most {limit} are allowed, so take others back first"
            raise InvalidInput(Violation(field_name, "TOO_MANY", sentence))
