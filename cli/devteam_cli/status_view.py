"""How a mesh stands, for people and for programs."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from devteam.models import PlanState, Workers
from devteam.standing import Dependency, DependencyState, ServiceStatus
from devteam_cli.concerns import Concern, lag, skew
from devteam_cli.output import members, plain
from devteam_cli.overview import Overview
from devteam_cli.queue_view import queues_table, throttle_line
from devteam_cli.render import table
from devteam_cli.text import printable, span

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

_TITLES = ("SERVICE", "VERSION", "UP", "STANDS ON", "TRACES", "NOTE")


def screen(seen: Overview, found: Sequence[Concern]) -> "Iterator[RenderableType]":
    """What needs attention, then everything else on as few lines as it takes."""
    yield printable(f"{seen.url}  {_verdict(found)}")
    for concern in found:
        yield printable(f"! {concern.subject}: {concern.said}\n    {concern.remedy}")
    yield ""
    yield services_table(seen.services)
    yield ""
    yield printable(_work(seen))
    if seen.workers is not None:
        yield printable(_workers(seen.workers, used=_running(seen)))
    if seen.queues:
        yield ""
        yield queues_table(seen.queues)
    yield from (printable(throttle_line(throttle)) for throttle in seen.throttles)


def services_table(services: Sequence[ServiceStatus]) -> "Table":
    """Services: which version, since when, and what they stand on."""
    return table(_TITLES, map(_service_row, services))


def as_data(seen: Overview, found: Sequence[Concern]) -> dict[str, object]:
    """All of it for programs. Counts of plans are of 500 in each state at most."""
    workers = seen.workers if seen.workers is not None else Workers()
    return {
        "url": seen.url,
        "well": not found,
        "concerns": plain(list(found)),
        "services": [_service(service) for service in seen.services],
        "workers": {
            "total": len(workers),
            "by_status": dict(Counter(worker.status.value for worker in workers)),
            "slots": sum(worker.concurrency for worker in workers),
            "used": _running(seen),
            "notice": workers.notice,
        },
        "queues": plain(list(seen.queues)),
        "throttles": plain(list(seen.throttles)),
        "tasks": {"running": _running(seen), "waiting": _waiting(seen), "not_begun": len(seen.not_begun)},
        "plans": {
            "running": _plans(seen, PlanState.RUNNING),
            "waiting": _plans(seen, PlanState.PENDING),
        },
    }


def _verdict(found: Sequence[Concern]) -> str:
    if not found:
        return "all is well"
    return f"{len(found)} things need attention" if len(found) > 1 else "one thing needs attention"


def _service(service: ServiceStatus) -> dict[str, object]:
    return members(service) | {"uptime": plain(service.uptime)}


def _service_row(service: ServiceStatus) -> tuple[str, ...]:
    up = service.uptime
    return (
        service.name,
        service.version or "-",
        span(up) if up is not None else "-",
        ", ".join(map(_dependency, service.dependencies)) or "-",
        service.traces or "-",
        _note(service),
    )


def _dependency(dependency: Dependency) -> str:
    state = "" if dependency.state is DependencyState.OK else f" {dependency.state.value.upper()}"
    return f"{dependency.name} {dependency.address}{state}"


def _note(service: ServiceStatus) -> str:
    if service.problem:
        return service.problem
    ahead = skew(service)
    return f"clock {lag(ahead)}" if ahead else ""


def _work(seen: Overview) -> str:
    plans = f"plans: {_plans(seen, PlanState.RUNNING)} running, {_plans(seen, PlanState.PENDING)} not begun"
    tasks = f"tasks: {_running(seen)} running, {_waiting(seen)} waiting"
    begin = f", {len(seen.not_begun)} not begun" if seen.not_begun else ""
    return f"{tasks}{begin}   {plans}"


def _workers(workers: Workers, *, used: int) -> str:
    if not workers:
        return "no workers"
    statuses = Counter(worker.status.value for worker in workers)
    shown = ", ".join(f"{number} {status}" for status, number in statuses.items())
    slots = sum(worker.concurrency for worker in workers)
    return f"workers: {shown}   slots: {used} of {slots} used"


def _running(seen: Overview) -> int:
    return sum(queue.running for queue in seen.queues)


def _waiting(seen: Overview) -> int:
    return sum(queue.waiting for queue in seen.queues)


def _plans(seen: Overview, state: PlanState) -> int:
    return sum(plan.state is state for plan in seen.plans)
