"""Says when there is enough: how many tasks may be under way in each queue, and of each tenant."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from devteam.mesh.clock import Clock
from devteam.mesh.errors import ResourceExhausted
from devteam_planner.domain import Plan

_COUNT_EVERY = 1.0
# A count of very many takes its time: it may take this share of all time, and no more.
_SHARE_OF_TIME = 0.02
_RETRY_AFTER = 5.0

_QUEUE, _TENANT = "queue", "tenant"
# What is bounded: a queue (by its name; "" for those who leave the choice to the mesh) or a tenant.
_Subject = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Tasks that may be open: accepted, and not ended yet."""

    per_queue: int = 100_000
    per_tenant: int = 100_000


class OpenTasks(Protocol):
    """The part of the store that knows what is open."""

    async def open_tasks(self) -> Mapping[tuple[str, str], int]:
        """How many tasks have not ended, by tenant and the queue that they name. Raises Unavailable."""


class Admission:
    """Counts what is open, from the store at most once a second, and what was admitted since; refuses what is too much.

    What ended since the last count is noticed with the next one. Other Planners on the same database are noticed then
    too: together they can go past a bound by what they admit within a second. `jitter` gives numbers from 0 to 1.
    """

    def __init__(self, store: OpenTasks, bounds: Bounds, clock: Clock, jitter: Callable[[], float]) -> None:
        self._store = store
        self._bounds = bounds
        self._clock = clock
        self._jitter = jitter
        self._counting = asyncio.Lock()
        self._count_at = float("-inf")
        self._counted: Counter[_Subject] = Counter()
        # Admitted since that count began, with what was being stored at that moment.
        self._since: Counter[_Subject] = Counter()
        self._in_flight: Counter[_Subject] = Counter()

    async def admit(self, plan: Plan) -> None:
        """Make room for the plan's tasks; `settle` must follow. Raises ResourceExhausted, and Unavailable."""
        async with self._counting:
            if self._clock.monotonic() >= self._count_at:
                await self._count()
        needs = _needs(plan)
        self._refuse_if_full(needs)
        self._since += needs
        self._in_flight += needs

    def settle(self, plan: Plan, *, stored: bool) -> None:
        """The admitted plan was stored, or was not."""
        needs = _needs(plan)
        self._in_flight -= needs
        if not stored:
            self._since -= needs

    async def _count(self) -> None:
        began = self._clock.monotonic()
        self._since = Counter(self._in_flight)
        counted: Counter[_Subject] = Counter()
        for (tenant, queue), number in (await self._store.open_tasks()).items():
            counted[_TENANT, tenant] += number
            counted[_QUEUE, queue] += number
        self._counted = counted
        ended = self._clock.monotonic()
        self._count_at = ended + max(_COUNT_EVERY, (ended - began) / _SHARE_OF_TIME)

    def _refuse_if_full(self, needs: Counter[_Subject]) -> None:
        for subject, need in needs.items():
            taken = self._counted[subject] + self._since[subject]
            bound = self._bounds.per_queue if subject[0] == _QUEUE else self._bounds.per_tenant
            if taken + need > bound:
                raise self._refusal(subject, taken, need, bound)

    def _refusal(self, subject: _Subject, taken: int, need: int, bound: int) -> ResourceExhausted:
        kind, name = subject
        what = f"{kind} {name!r}" if name else "the line of tasks that name no queue"
        return ResourceExhausted(
            f"{what} holds {taken} tasks that have not ended, and {need} more would be more than its {bound}: wait "
            f"until some have ended, or have DEVTEAM_PLANNER_MAX_OPEN_PER_{kind.upper()} raised",
            reason=f"{kind.upper()}_FULL",
            retry_after=_RETRY_AFTER * (1 + self._jitter()),
            metadata={"subject": f"{kind}:{name}", "limit": str(bound)},
        )


def _needs(plan: Plan) -> Counter[_Subject]:
    needs = Counter((_QUEUE, task.spec.queue) for task in plan.tasks)
    needs[_TENANT, plan.tenant] = len(plan.tasks)
    return needs
