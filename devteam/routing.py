"""How operators want tasks to be placed, over the whole fleet. What that leaves open, the routers' settings decide."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from devteam.specs import Strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLimit:
    """How often tasks of a model may start, over the whole fleet or (with `queue`) out of one queue.

    `model` is a pattern such as "opus" or "ollama:*"; all models that match share the limit.
    """

    model: str
    starts_per_minute: float
    queue: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePolicy:
    """How one queue is served. None: as `Routing` says.

    Nothing of a `paused` queue starts; what runs, runs on, and tasks are still accepted. `tenant_weights` are the
    shares of tenants that compete for it; a tenant that is not named has 1.
    """

    name: str
    paused: bool = False
    strategy: Strategy | str | None = None
    locality_wait: timedelta | None = None
    tenant_weights: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """The whole policy. None: as the routers are set.

    `locality_wait` is how long a task waits for a slot near its data source before it goes far. `preferences` are
    queues in order, by model pattern, for tasks that name none. Queues that are not there have no policy of their own.
    """

    strategy: Strategy | str | None = None
    locality_wait: timedelta | None = None
    preferences: Mapping[str, Sequence[str]] = field(default_factory=dict)
    queues: Sequence[QueuePolicy] = ()
    limits: Sequence[ModelLimit] = ()

    def queue(self, name: str) -> QueuePolicy:
        """The policy of one queue; one that says nothing for a queue that has none."""
        return next((policy for policy in self.queues if policy.name == name), QueuePolicy(name=name))
