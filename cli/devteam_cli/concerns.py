"""What about a mesh needs somebody's attention, and what to do about it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from devteam.models import QueueInfo, Task, WorkerInfo, WorkerStatus
from devteam.standing import ServiceStatus
from devteam_cli.overview import STUCK, Overview
from devteam_cli.text import left, span

# Clocks further apart than this, beyond all doubt, make people wonder about the times that they are shown.
SKEW = timedelta(seconds=1)

# A plan begins within so much time, unless Temporal is away or has too much to do.
_BEGINS = timedelta(seconds=10)
# So many of a kind are named one by one.
_NAMED = 3

_IN_DOUBT = {WorkerStatus.SUSPECT, WorkerStatus.UNHEALTHY, WorkerStatus.LOST}


@dataclass(frozen=True, slots=True)
class Concern:
    """Something that is wrong: with what, what it is, and its remedy."""

    subject: str
    said: str
    remedy: str


def concerns(seen: Overview, now: datetime) -> list[Concern]:
    """All of them, what matters most first."""
    return [
        *_services(seen.services, now),
        *of_fleet(seen),
        *nobody_runs(seen, now),
        *of_starts(seen, now),
        *of_workers(seen, now),
        *of_queues(seen),
        *of_waits(seen),
        *_clocks(seen.services),
        *_versions(seen.services),
        *unseen(seen),
    ]


def skew(service: ServiceStatus) -> timedelta | None:
    """How far its clock is ahead of this machine's, where that is more than a little and beyond doubt."""
    return service.clock_ahead if abs(service.clock_ahead) - service.clock_margin > SKEW else None


def lag(ahead: timedelta) -> str:
    """How far a clock is ahead of this machine's, in words."""
    return f"{span(abs(ahead))} {'ahead of' if ahead > timedelta() else 'behind'} this machine's"


def _services(services: Sequence[ServiceStatus], now: datetime) -> Iterator[Concern]:
    for service in services:
        if service.problem:
            yield Concern(service.name, f"cannot be asked: {service.problem}", "see whether it runs: `devteam doctor`")
    for service in services:
        for dependency in service.away:
            away = f"has been away for {span(now - dependency.since)}" if dependency.since else "is away"
            yield Concern(service.name, f"{dependency.name} at {dependency.address} {away}", dependency.detail)


def unseen(seen: Overview) -> Iterator[Concern]:
    """What could not be looked at, but for what the problem of a service explains."""
    known = {service.problem for service in seen.services}
    for what, why in seen.unseen.items():
        if why not in known:  # or else it was said before
            yield Concern(what, f"could not be looked at: {why}", "look again")


def of_fleet(seen: Overview) -> Iterator[Concern]:
    """What concerns all workers."""
    if seen.workers is not None and seen.workers.notice:
        yield Concern("workers", seen.workers.notice, "see what they have in common: network, power, a cluster's node")


def nobody_runs(seen: Overview, now: datetime) -> Iterator[Concern]:
    """Tasks that are shown as running, on workers that do not (or of which nobody can tell)."""
    if seen.workers is None:
        return
    known = {worker.id: worker for worker in seen.workers}
    doubtful = {
        worker_id: tasks
        for worker_id, tasks in _by_worker(seen.running).items()
        if worker_id not in known or known[worker_id].status in _IN_DOUBT
    }
    if len(doubtful) > _NAMED:
        tasks = [task for of_one in doubtful.values() for task in of_one]
        said = (
            f"shown as running on {len(doubtful)} workers that are not well or not registered: perhaps nobody runs them"
        )
        remedy = "they go on if their workers come back, and else start again by themselves once those are given up"
        yield Concern(f"{len(tasks)} tasks, such as {tasks[0].id}", said, remedy)
        return
    for worker_id, tasks in doubtful.items():
        yield _nobody_runs_them(worker_id, known.get(worker_id), tasks, now)


def _nobody_runs_them(worker_id: str, worker: WorkerInfo | None, tasks: Sequence[Task], now: datetime) -> Concern:
    subject = f"task {tasks[0].id}" if len(tasks) == 1 else f"{len(tasks)} tasks, such as {tasks[0].id}"
    if worker is None:
        said = f"shown as running on {worker_id}, which is not registered: perhaps nobody runs it"
    else:
        said = f"shown as running on {worker_id}, which is {worker.status.value}{_why(worker)}"
    if worker is None or worker.next_status_at is None:
        return Concern(subject, said, f"`devteam explain {tasks[0].id}` says where it is; it starts again by itself")
    comes = f"nothing, if the worker comes back within {left(worker.next_status_at, now)}; else it starts again"
    return Concern(subject, said, f"{comes} elsewhere once the worker is given up")


def of_starts(seen: Overview, now: datetime) -> Iterator[Concern]:
    """Tasks that wait for nothing, and have not begun."""
    ahead = next((service.clock_ahead for service in seen.services if service.name == "planner"), timedelta())
    since = [(task.created_at, task.id) for task in seen.not_begun if task.created_at]
    late = sorted(one for one in since if now + ahead - one[0] > _BEGINS)
    if late:
        oldest, task_id = late[0]
        subject = f"task {task_id}" if len(late) == 1 else f"{len(late)} tasks, such as {task_id}"
        said = f"not begun for {span(now + ahead - oldest)}, though nothing is waited for"
        yield Concern(
            subject, said, "Temporal begins them: see whether it is there (`devteam doctor`) and how busy it is"
        )


def of_workers(seen: Overview, now: datetime) -> Iterator[Concern]:
    """Workers that fell silent, or lost their stream; of many in the same state only one is named."""
    by_status: dict[WorkerStatus, list[WorkerInfo]] = {}
    for worker in seen.workers or ():
        if worker.status in _IN_DOUBT:
            by_status.setdefault(worker.status, []).append(worker)
    for workers in by_status.values():
        if len(workers) > _NAMED:
            yield _not_well(f"{len(workers)} workers, such as {workers[0].id}", workers[0], now)
        else:
            yield from (_not_well(f"worker {worker.id}", worker, now) for worker in workers)


def _not_well(subject: str, worker: WorkerInfo, now: datetime) -> Concern:
    coming = f"; {_next(worker)} in {left(worker.next_status_at, now)}" if worker.next_status_at else ""
    remedy = "see whether its machine is up and reaches the mesh: `devteam-worker doctor` there"
    return Concern(subject, f"{worker.status.value}{_why(worker)}{coming}", remedy)


def of_queues(seen: Overview) -> Iterator[Concern]:
    """Queues of which nothing can start."""
    for queue in seen.queues:
        if queue.waiting and (trouble := _trouble(queue)):
            waiting = "1 waits" if queue.waiting == 1 else f"{queue.waiting} wait"
            yield Concern(f"queue {queue.name}", f"{waiting} and {trouble[0]}", trouble[1])


def _trouble(queue: QueueInfo) -> tuple[str, str] | None:
    """What keeps all of a queue waiting, and what helps."""
    if queue.paused:
        return "the queue is paused", f"`devteam queue resume {queue.name}` lets it go on"
    if not queue.workers:
        return "no worker serves it", f"start one with `devteam-worker start --queue {queue.name}`"
    if not queue.slots:
        none = (
            "its only worker takes no work" if queue.workers == 1 else f"none of its {queue.workers} workers takes work"
        )
        return none, f"`devteam workers --queue {queue.name}` says why"
    return None


def of_waits(seen: Overview) -> Iterator[Concern]:
    """Tasks that no time will bring on, in queues that are well."""
    named = {queue.name for queue in seen.queues if queue.waiting and _trouble(queue)}
    for wait in seen.waits:
        if wait.explanation.wait_reason in STUCK and wait.explanation.queue not in named:
            remedy = f"`devteam explain {wait.task.id}` shows each worker, and what it lacks"
            yield Concern(f"task {wait.task.id}", f"waits: {wait.explanation.reason}", remedy)


def _clocks(services: Sequence[ServiceStatus]) -> Iterator[Concern]:
    for service in services:
        if ahead := skew(service):
            remedy = "let both machines' clocks follow a time server: `timedatectl set-ntp true`"
            yield Concern(service.name, f"its clock is {lag(ahead)}", remedy)


def _versions(services: Sequence[ServiceStatus]) -> Iterator[Concern]:
    versions = Counter(service.version for service in services if service.version)
    if len(versions) > 1:
        said = ", ".join(f"{service.name} {service.version}" for service in services if service.version)
        yield Concern("versions", f"services differ: {said}", "bring all of them to the same version")


def _by_worker(tasks: Sequence[Task]) -> dict[str, list[Task]]:
    by_worker: dict[str, list[Task]] = {}
    for task in tasks:
        by_worker.setdefault(task.worker_id, []).append(task)
    return by_worker


def _why(worker: WorkerInfo) -> str:
    return f" ({worker.status_reason})" if worker.status_reason else ""


def _next(worker: WorkerInfo) -> str:
    return worker.next_status.value if worker.next_status else "deregistered"
