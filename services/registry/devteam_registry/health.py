"""How alive a worker is: a pure function of its last beat, the present moment and the policy."""

from devteam_registry.domain import Health, HealthPolicy, WorkerState


def health_of(last_beat: float, now: float, policy: HealthPolicy) -> Health:
    """The health at `now` of a worker last heard of at `last_beat`, both in seconds on one monotonic clock."""
    silence = max(0.0, now - last_beat)
    if silence < policy.unhealthy_after:
        reason = f"last beat {_spoken(silence)} ago"
        return Health(WorkerState.HEALTHY, reason, WorkerState.UNHEALTHY, policy.unhealthy_after - silence)
    reason = f"no beat for {_spoken(silence)}"
    if silence < policy.lost_after:
        return Health(WorkerState.UNHEALTHY, reason, WorkerState.LOST, policy.lost_after - silence)
    return Health(WorkerState.LOST, reason, None, max(0.0, policy.deregister_after - silence))


def _spoken(seconds: float) -> str:
    # Whole seconds, unless the policy is so short that they would say nothing.
    return f"{int(seconds)} s" if seconds >= 10 else f"{seconds:.1f} s"
