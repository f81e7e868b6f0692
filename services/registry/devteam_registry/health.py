"""How alive a worker is: a pure function of its last beat, its link, the present moment and the policy."""

import math
from dataclasses import dataclass
from enum import Enum

from devteam.mesh.errors import FailedPrecondition
from devteam_registry.links import Link


class WorkerState(Enum):
    """What the Registry thinks of a worker's life."""

    HEALTHY = "healthy"
    SUSPECT = "suspect"
    UNHEALTHY = "unhealthy"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class HealthPolicy:
    """The timings of a silent worker, in seconds. Raises FailedPrecondition for timings that contradict each other."""

    heartbeat_interval: float = 30.0
    unhealthy_after: float = 60.0
    lost_after: float = 120.0
    deregister_after: float = 300.0

    def __post_init__(self) -> None:
        ordered = self.heartbeat_interval * 2 <= self.unhealthy_after < self.lost_after < self.deregister_after
        if not (self.heartbeat_interval > 0 and ordered and math.isfinite(self.deregister_after)):
            raise FailedPrecondition(
                "the health timings contradict each other: heartbeat interval x 2 <= unhealthy < lost < deregister "
                f"must hold, but they are {self.heartbeat_interval:g}, {self.unhealthy_after:g}, {self.lost_after:g} "
                f"and {self.deregister_after:g} s",
                reason="HEALTH_POLICY_INVALID",
            )


@dataclass(frozen=True, slots=True)
class Health:
    """A worker's state, why, and what follows.

    `next_in` is in seconds; None when nothing is pending. A `next_state` of None means deregistration.
    `outlook` says what comes of it; empty when there is nothing to say.
    """

    state: WorkerState
    reason: str
    next_state: WorkerState | None
    next_in: float | None
    outlook: str = ""

    @property
    def words(self) -> str:
        """Reason and outlook, as people read them."""
        return f"{self.reason}; {self.outlook}" if self.outlook else self.reason


def health_of(
    last_beat: float, now: float, policy: HealthPolicy, *, active_tasks: int = 0, link: Link | None = None
) -> Health:
    """The health at `now` of a worker last heard of at `last_beat`, both in seconds on one monotonic clock.

    `active_tasks` are those of its last beat. Silence weighs more than a broken `link`; None: nothing is known of one.
    """
    silence = max(0.0, now - last_beat)
    if silence >= policy.unhealthy_after:
        return _silent(silence, policy, active_tasks)
    until_unhealthy = policy.unhealthy_after - silence
    if link is None or link.connected:
        reason = f"last beat {_spoken(silence)} ago"
        return Health(WorkerState.HEALTHY, reason, WorkerState.UNHEALTHY, until_unhealthy)
    # A link may have been reported broken since the moment of judgement.
    reason, outlook = _broken(link, max(now, link.since))
    return Health(WorkerState.SUSPECT, reason, WorkerState.UNHEALTHY, until_unhealthy, outlook)


def _silent(silence: float, policy: HealthPolicy, tasks: int) -> Health:
    reason = f"no beat for {_spoken(silence)}"
    if silence < policy.lost_after:
        rest = policy.lost_after - silence
        outlook = f"{_tasks(tasks)} {'moves' if tasks == 1 else 'move'} in {_rest(rest)}" if tasks else ""
        return Health(WorkerState.UNHEALTHY, reason, WorkerState.LOST, rest, outlook)
    rest = max(0.0, policy.deregister_after - silence)
    moved = f"its {'task was' if tasks == 1 else 'tasks were'} moved; " if tasks else ""
    return Health(WorkerState.LOST, reason, None, rest, f"{moved}deregistered in {_rest(rest)}")


def _broken(link: Link, now: float) -> tuple[str, str]:
    since = f"{int(now - link.since)} s"
    if link.given_up_at is None or link.given_up_at <= now:
        return f"no stream to a router for {since}", "it still beats"
    reason = f"its stream to {link.router_id} broke {since} ago"
    if not link.running:
        return reason, ""
    verb = "is" if link.running == 1 else "are"
    return reason, f"{_tasks(link.running)} {verb} given up in {_rest(link.given_up_at - now)} unless it comes back"


def _tasks(count: int) -> str:
    return "1 task" if count == 1 else f"{count} tasks"


def _spoken(seconds: float) -> str:
    # Whole seconds, unless the policy is so short that they would say nothing.
    return f"{int(seconds)} s" if seconds >= 10 else f"{seconds:.1f} s"


def _rest(seconds: float) -> str:
    # Upwards, as what has passed is said downwards: the two make up the whole. Rounded first, for 49.0000001 is 49.
    return f"{math.ceil(round(seconds, 3))} s"
