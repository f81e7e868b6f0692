"""How alive a worker is: a pure function of its last beat, its link, the present moment and the policy."""

from math import ceil

from devteam_registry.domain import Health, HealthPolicy, WorkerState
from devteam_registry.links import Link


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
    return f"{ceil(round(seconds, 3))} s"
