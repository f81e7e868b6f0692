"""Those who submit work and watch it, as users do; every answer they get goes into the journal."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar
from uuid import uuid4

from devteam.client import DevTeamClient
from devteam.errors import DeadlineExceeded, DevTeamError, Unavailable
from devteam.events import AttemptStarted, Event, PlanChanged, TaskChanged, Tokens
from devteam.mesh.clock import SystemClock
from devteam.mesh.tasks import Backoff, cancelled
from devteam.models import Plan, Task
from devteam.specs import RunPolicy, Step
from tests.chaos.journal import Journal

_MODEL = "chaos"
Accepted = TypeVar("Accepted", Task, Plan)


class Audience:
    """Submits, and keeps one watch on everything that was accepted, until its end."""

    def __init__(self, url: str, journal: Journal) -> None:
        self.client = DevTeamClient(url, api_key="", timeout=5)
        self._journal = journal
        self._watches: dict[str, asyncio.Task[None]] = {}

    async def task(self, tokens: int, seconds: float, *, queue: str, attempts: int = 0) -> str:
        """Have one task accepted: so many tokens in about so many seconds, in so many attempts. Returns its id."""
        ask, policy = _prompt(tokens, seconds), RunPolicy(max_attempts=attempts)
        task = await self._surely(
            lambda name: self.client.create_task(ask, model=_MODEL, queue=queue, policy=policy, request_id=name)
        )
        self._journal.note("submitted", plan=task.id, tasks={task.id: []})
        self.watch(task.id)
        return task.id

    async def accepted(self, tokens: int, seconds: float, *, queue: str) -> bool:
        """Submit one task, once; False when it was refused as something to try again."""
        try:
            task = await self.client.create_task(_prompt(tokens, seconds), model=_MODEL, queue=queue)
        except (Unavailable, DeadlineExceeded) as error:
            self._journal.note("refused", reason=error.reason)
            return False
        self._journal.note("submitted", plan=task.id, tasks={task.id: []})
        self.watch(task.id)
        return True

    async def plan(self, tokens: int, seconds: float, *, queue: str) -> str:
        """Have a plan accepted: one step, two that need it, one that needs both. Returns its id."""
        ask = _prompt(tokens, seconds)
        steps = [
            Step(id="a", prompt=ask, model=_MODEL, queue=queue),
            Step(id="b", prompt=ask + "{{a.output}}", model=_MODEL, queue=queue, depends_on=("a",)),
            Step(id="c", prompt=ask + "{{a.output}}", model=_MODEL, queue=queue, depends_on=("a",)),
            Step(id="d", prompt=ask + "{{b.output}}{{c.output}}", model=_MODEL, queue=queue, depends_on=("b", "c")),
        ]
        plan = await self._surely(lambda name: self.client.create_plan("chaos", steps, request_id=name))
        ids = {task.step_id: task.id for task in plan.tasks}
        needs = {ids[step.id]: [ids[needed] for needed in step.depends_on] for step in steps}
        self._journal.note("submitted", plan=plan.id, tasks=needs)
        self.watch(plan.id)
        return plan.id

    def watch(self, watched_id: str, watcher: str = "first") -> None:
        """Note everything that is told of it from now on."""
        watching = asyncio.create_task(self._watch(watched_id, watcher))
        self._watches[f"{watched_id}/{watcher}"] = watching

    async def ended(self, *watched: str, patience: float) -> None:
        """Wait until the watches of these, or all, have told the end."""
        chosen = [watch for name, watch in self._watches.items() if not watched or name.split("/")[0] in watched]
        async with asyncio.timeout(patience):
            await asyncio.gather(*chosen)

    async def account(self) -> None:
        """Note how everything that was submitted is stored."""
        for submitted in list(self._journal.all("submitted")):
            for task_id in submitted["tasks"]:
                task = await self.client.get_task(task_id)
                failure = task.failure.message if task.failure else ""
                self._journal.note(
                    "final", task=task_id, state=task.state, attempt=task.attempt, output=task.output, failure=failure
                )

    async def close(self) -> None:
        """Stop watching."""
        for watch in self._watches.values():
            await cancelled(watch)
        await self.client.close()

    async def cancel(self, accepted: str) -> None:
        """Have a task or plan cancelled; the journal knows what of it had not ended before."""
        tasks: Sequence[Task]
        if accepted.startswith("t"):
            tasks = [await self.client.cancel_task(accepted)]
        else:
            tasks = (await self.client.cancel_plan(accepted)).tasks
        self._journal.note("cancelled", tasks=[task.id for task in tasks if not task.state.ended])

    async def _surely(self, create: Callable[[str], Awaitable[Accepted]]) -> Accepted:
        """Create under one request id until it is accepted."""
        backoff, name = Backoff(SystemClock()), uuid4().hex
        while True:
            try:
                return await create(name)
            except DevTeamError as error:
                self._journal.note("refused", request=name, reason=error.reason)
                await backoff.pause()

    async def _watch(self, watched_id: str, watcher: str) -> None:
        backoff = Backoff(SystemClock())
        while True:
            try:
                async for event in self.client.watch(watched_id):
                    backoff.reset()
                    self._tell(watcher, event)
            except DevTeamError as error:
                # Not even the first word of a watch came: a user would look again, from the beginning.
                self._journal.note("unwatched", plan=watched_id, watcher=watcher, reason=error.reason)
                await backoff.pause()
            else:
                return

    def _tell(self, watcher: str, event: Event) -> None:
        match event:
            case TaskChanged(task):
                self._tell_state(watcher, task)
            case PlanChanged(plan):
                for task in plan.tasks:
                    self._tell_state(watcher, task)
            case AttemptStarted():
                self._journal.note(
                    "attempt", watcher=watcher, task=event.task_id, attempt=event.attempt, reason=event.reason
                )
            case Tokens():
                told = {"first": event.first_seq, "last": event.last_seq, "text": event.text}
                self._journal.note("tokens", watcher=watcher, task=event.task_id, attempt=event.attempt, **told)

    def _tell_state(self, watcher: str, task: Task) -> None:
        facts = {"state": task.state, "attempt": task.attempt, "worker": task.worker_id}
        self._journal.note("state", watcher=watcher, task=task.id, **facts)


@asynccontextmanager
async def audience(url: str, journal: Journal) -> AsyncIterator[Audience]:
    """An audience that goes home when the block ends."""
    present = Audience(url, journal)
    try:
        yield present
    finally:
        await present.close()


def _prompt(tokens: int, seconds: float) -> str:
    return json.dumps({"tokens": tokens, "pause": seconds / tokens}) + "\n"
