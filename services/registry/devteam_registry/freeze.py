"""Many workers silent at the same moment means that the Registry was cut off, not that they died."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from devteam_registry.health import Health, HealthPolicy, WorkerState

_SHARE_PERCENT = 55
# With one or two workers a share says nothing.
_SMALLEST_FLEET = 3


@dataclass(frozen=True, slots=True)
class Freeze:
    """Nobody is declared dead, because `silent` workers out of a `fleet` fell silent together."""

    silent: int
    fleet: int

    @property
    def reason(self) -> str:
        """Why, in words."""
        return f"deaths are frozen: {self.silent} of {self.fleet} workers fell silent together"


def freeze_of(silences: Sequence[float], fleet: int, policy: HealthPolicy) -> Freeze | None:
    """Whether deaths are frozen, given the seconds of silence of every UNHEALTHY worker of a fleet.

    Workers already LOST count neither as silent nor as part of the fleet. "Together" means within the time between
    UNHEALTHY and LOST: then none of the group was given up before its last member was missed.
    """
    if fleet < _SMALLEST_FLEET:
        return None
    together = _largest_group(sorted(silences), policy.lost_after - policy.unhealthy_after)
    return Freeze(together, fleet) if together * 100 >= _SHARE_PERCENT * fleet else None


def held(health: Health, before: WorkerState, freeze: Freeze) -> Health:
    """`health` as it stays while deaths are frozen: who was not LOST before does not become it now."""
    if health.state in {WorkerState.HEALTHY, WorkerState.SUSPECT}:
        return health
    state = WorkerState.LOST if before is WorkerState.LOST else WorkerState.UNHEALTHY
    return Health(state, health.reason, next_state=None, next_in=None, outlook=freeze.reason)


def _largest_group(ordered: Sequence[float], window: float) -> int:
    return max((bisect_right(ordered, first + window) - i for i, first in enumerate(ordered)), default=0)
