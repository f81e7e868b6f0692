"""The whole mesh as it is at one moment, gathered by a few cheap calls."""

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from devteam.errors import DeadlineExceeded, DevTeamError, Unavailable
from devteam.models import Explanation, Plan, PlanState, QueueInfo, Task, TaskState, Throttle, WaitReason, Workers
from devteam.standing import ServiceStatus

if TYPE_CHECKING:
    from devteam.client import DevTeamClient

_Seen = TypeVar("_Seen")

# Plans that are counted in each state.
_PLANS = 500
# Seconds that the Planner may take to tell of all tasks.
_TELLING = 10.0
# Kinds of waiting tasks, by queue and model, that a Router is asked about.
_KINDS = 10

# What no time will cure: somebody has to do something.
STUCK = frozenset(
    {
        WaitReason.NO_WORKER_IN_QUEUE,
        WaitReason.NO_WORKER_SERVES_MODEL,
        WaitReason.NO_WORKER_MEETS_REQUIREMENTS,
        WaitReason.NO_WORKER_AVAILABLE,
    }
)


@dataclass(frozen=True, slots=True)
class Wait:
    """A task that waits, and what a Router says of it."""

    task: Task
    explanation: Explanation


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """What was seen. `workers` is None, and others are empty, where it could not be: `unseen` says what, and why.

    `not_begun` are tasks that wait for nothing but the start of their plan; `waits` are examples, one of a kind.
    `plans` are those that have not ended, 500 of a state at most.
    """

    url: str
    services: Sequence[ServiceStatus] = ()
    workers: Workers | None = None
    queues: Sequence[QueueInfo] = ()
    throttles: Sequence[Throttle] = ()
    plans: Sequence[Plan] = ()
    running: Sequence[Task] = ()
    not_begun: Sequence[Task] = ()
    waits: Sequence[Wait] = ()
    unseen: dict[str, str] = field(default_factory=dict)


async def overview(client: "DevTeamClient") -> Overview:
    """Look at everything at once. Raises DevTeamError when no service of the mesh can be asked how it stands."""
    unseen: dict[str, str] = {}

    async def seen(what: str, call: Awaitable[_Seen], otherwise: _Seen) -> _Seen:
        try:
            return await call
        except DevTeamError as error:
            unseen[what] = error.message
            return otherwise

    services = await client.get_status()
    workers, queues, throttles, plans, tasks = await asyncio.gather(
        seen("workers", _workers(client), None),
        seen("queues", client.list_queues(), []),
        seen("throttles", client.list_throttles(), []),
        seen("plans", _plans(client), []),
        seen("tasks", _tasks(client, services), []),
    )
    return Overview(
        url=client.api_url,
        services=services,
        workers=workers,
        queues=queues,
        throttles=throttles,
        plans=plans,
        running=[task for task in tasks if task.state is TaskState.RUNNING],
        not_begun=[task for task in tasks if task.state is TaskState.PENDING and not task.depends_on],
        waits=await seen("what waits", _waits(client, tasks), []),
        unseen=unseen,
    )


async def _workers(client: "DevTeamClient") -> Workers | None:
    return await client.get_workers()


async def _plans(client: "DevTeamClient") -> list[Plan]:
    states = (PlanState.RUNNING, PlanState.PENDING)
    return _joined(await asyncio.gather(*(client.list_plans(state=state, limit=_PLANS) for state in states)))


async def _tasks(client: "DevTeamClient", services: Sequence[ServiceStatus]) -> list[Task]:
    """All that have not ended: what a watch begins with."""
    for service in services:
        if service.name == "planner" and service.problem:  # a watch would wait for it to come back
            raise Unavailable(service.problem)
    tasks: list[Task] = []
    try:
        async with asyncio.timeout(_TELLING), aclosing(client.watch_tasks()) as looks:
            async for seen in looks:
                tasks += seen.tasks
                if seen.current:
                    break
    except TimeoutError:
        raise DeadlineExceeded(f"the Planner has not told of all tasks within {_TELLING:g} s") from None
    return tasks


async def _waits(client: "DevTeamClient", tasks: Iterable[Task]) -> list[Wait]:
    """One of each kind: what is of one kind waits for the same, mostly."""
    kinds = {(task.spec.queue, task.model): task for task in tasks if task.state is TaskState.QUEUED}
    explained = await asyncio.gather(*(_explained(client, task) for task in list(kinds.values())[:_KINDS]))
    return [wait for wait in explained if wait is not None]


async def _explained(client: "DevTeamClient", task: Task) -> Wait | None:
    try:
        explanation = await client.explain(task.id)
    except DevTeamError:  # it has gone on, or no Router has it yet
        return None
    return Wait(task, explanation) if explanation.wait_reason is not None else None


def _joined(lists: Iterable[list[_Seen]]) -> list[_Seen]:
    return [item for items in lists for item in items]
