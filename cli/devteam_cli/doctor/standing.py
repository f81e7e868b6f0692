"""What a mesh says of itself, as findings."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime

from devteam.mesh.finding import Finding, ok, problem, skipped, warning
from devteam.mesh.version import version
from devteam.models import WorkerStatus
from devteam.standing import Dependency, DependencyState, ServiceStatus
from devteam_cli import concerns
from devteam_cli.concerns import Concern, lag, skew
from devteam_cli.overview import Overview
from devteam_cli.queue_view import throttle_line
from devteam_cli.text import span

_SET_CLOCK = "let both machines' clocks follow a time server: timedatectl set-ntp true"


def findings(seen: Overview, now: datetime) -> list[Finding]:
    """All that there is to say of it."""
    return [
        *_services(seen.services, now),
        *_clocks(seen.services),
        *_versions(seen.services),
        *_worker_versions(seen),
        *_workers(seen, now),
        *_work(seen, now),
        *_throttles(seen, now),
        *_as_findings(warning, concerns.unseen(seen)),
    ]


def _services(services: Sequence[ServiceStatus], now: datetime) -> Iterator[Finding]:
    for service in services:
        if service.problem:
            yield problem(f"cannot be asked: {service.problem}", "see whether it runs, and its log", service.name)
            continue
        up = f", up for {span(service.uptime)}" if service.uptime is not None else ""
        yield ok(f"version {service.version} on Python {service.python_version}{up}", service.name)
        yield from (_dependency(service.name, dependency, now) for dependency in service.dependencies)


def _dependency(service: str, dependency: Dependency, now: datetime) -> Finding:
    name = f"{service}: {dependency.name}"
    match dependency.state:
        case DependencyState.OK:
            return ok(f"{dependency.address} is there", name)
        case DependencyState.AWAY:
            since = f" for {span(now - dependency.since)}" if dependency.since else ""
            return problem(f"{dependency.address} is away{since}", dependency.detail, name)
    return skipped(f"{dependency.address} has not been asked yet", name)


def _clocks(services: Sequence[ServiceStatus]) -> Iterator[Finding]:
    apart = [service for service in services if skew(service)]
    for service in apart:
        yield warning(f"its clock is {lag(service.clock_ahead)}", _SET_CLOCK, f"{service.name}: clock")
    if not apart:
        yield ok("all clocks agree to a second", "clocks")


def _versions(services: Sequence[ServiceStatus]) -> Iterator[Finding]:
    others = [service for service in services if service.version and service.version != version()]
    for service in others:
        said = f"the {service.name} is {service.version}, this client {version()}"
        yield warning(said, f"pip install devteam-orchestrator=={service.version}, or renew the mesh", "versions")
    if not others:
        yield ok(f"the mesh and this client are {version()}", "versions")


def _worker_versions(seen: Overview) -> Iterator[Finding]:
    here = {service.version for service in seen.services if service.version}
    others = [worker for worker in seen.workers or () if worker.version and worker.version not in here]
    if others:
        named = ", ".join(f"{worker.id} {worker.version}" for worker in others[:5])
        more = f" and {len(others) - 5} more" if len(others) > 5 else ""
        said = f"not of the mesh's version: {named}{more}"
        yield warning(said, "renew them one by one: `devteam drain WORKER --wait`", "worker versions")


def _workers(seen: Overview, now: datetime) -> Iterator[Finding]:
    if seen.workers is None:
        return
    yield from _as_findings(warning, concerns.of_fleet(seen))
    yield from _as_findings(warning, concerns.of_workers(seen, now))
    if not seen.workers:
        yield warning("none is registered, so that nothing runs", "start one: devteam-worker start", "workers")
        return
    taking = sum(worker.status is WorkerStatus.HEALTHY for worker in seen.workers)
    yield ok(f"{taking} of {len(seen.workers)} take work", "workers")


def _work(seen: Overview, now: datetime) -> Iterator[Finding]:
    found = [
        *_as_findings(problem, concerns.of_queues(seen)),
        *_as_findings(problem, concerns.of_waits(seen)),
        *_as_findings(warning, concerns.nobody_runs(seen, now)),
        *_as_findings(warning, concerns.of_starts(seen, now)),
    ]
    waiting = sum(queue.waiting for queue in seen.queues)
    yield from found or [ok(f"{waiting} tasks wait, none of them in vain as far as is seen", "work")]


def _throttles(seen: Overview, now: datetime) -> Iterator[Finding]:
    for throttle in seen.throttles:
        fix = f"it ends by itself; to start fewer at once: `devteam routing limit {throttle.model} 60/min`"
        yield warning(throttle_line(throttle, now), fix, "provider")


def _as_findings(kind: Callable[[str, str, str], Finding], found: Iterable[Concern]) -> Iterator[Finding]:
    return (kind(concern.said, concern.remedy, concern.subject) for concern in found)
