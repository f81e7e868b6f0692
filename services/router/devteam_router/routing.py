"""How runs are placed: by the Router's settings, with what operators want put over them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from devteam_router.domain import StrategyName
from devteam_router.preferences import Preferences


@dataclass(frozen=True, slots=True)
class Policy:
    """How the Router places runs unless somebody says otherwise; `locality_wait` in seconds."""

    strategy: StrategyName = StrategyName.LEAST_LOADED
    preferences: Mapping[str, Sequence[str]] = field(default_factory=dict)
    locality_wait: float = 3.0


@dataclass(frozen=True, slots=True)
class QueuePolicy:
    """How one queue is served; None leaves it to the fleet's policy."""

    paused: bool = False
    strategy: StrategyName | None = None
    locality_wait: float | None = None
    tenant_weights: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelLimit:
    """How often models that match may start, in a queue or (empty) over the whole fleet."""

    model: str
    queue: str
    starts_per_minute: float


@dataclass(frozen=True, slots=True)
class Wishes:
    """What operators want, as the Registry told it; None and what is not named leave it to the settings."""

    strategy: StrategyName | None = None
    locality_wait: float | None = None
    preferences: Mapping[str, Sequence[str]] = field(default_factory=dict)
    queues: Mapping[str, QueuePolicy] = field(default_factory=dict)
    limits: tuple[ModelLimit, ...] = ()


_NO_POLICY = QueuePolicy()


class Routing:
    """The policy that holds now."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.wishes = Wishes()
        # Another one whenever operators want something else.
        self.version = 0
        self.preferences = Preferences(policy.preferences)

    def wish(self, wishes: Wishes) -> None:
        """Do as operators want from now on."""
        self.wishes, self.version = wishes, self.version + 1
        self.preferences = Preferences({**self._policy.preferences, **wishes.preferences})

    def queue(self, name: str) -> QueuePolicy:
        """What is particular about a queue."""
        return self.wishes.queues.get(name, _NO_POLICY)

    def named_queues(self) -> set[str]:
        """Queues that have a policy, or that a model prefers."""
        return {*self.wishes.queues, *self.preferences.named()}

    def paused(self, queue: str) -> bool:
        """Whether nothing of a queue may start."""
        return self.queue(queue).paused

    def strategy(self, queue: str) -> StrategyName:
        """How workers of a queue are picked for runs that do not say it themselves."""
        return self.queue(queue).strategy or self.wishes.strategy or self._policy.strategy

    def locality_wait(self, queue: str) -> float:
        """Seconds that a run waits for a slot near its data before it goes far."""
        for wait in (self.queue(queue).locality_wait, self.wishes.locality_wait):
            if wait is not None:
                return wait
        return self._policy.locality_wait

    def weight(self, queue: str, tenant: str) -> float:
        """A tenant's share of a queue, beside others'."""
        return self.queue(queue).tenant_weights.get(tenant, 1.0)
