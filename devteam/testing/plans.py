"""Plans of a fake mesh: kept in memory, run in the order of their dependencies, told to whoever watches."""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from graphlib import CycleError, TopologicalSorter

from devteam.mesh.errors import OutOfRange
from devteam.mesh.validation import Violations
from devteam.testing.runs import Answer, Run, WorkerLost, pieces
from devteam.v1 import planner_pb2 as pb
from devteam.v1 import run_pb2

_ENDED = frozenset({pb.TASK_STATE_SUCCEEDED, pb.TASK_STATE_FAILED, pb.TASK_STATE_CANCELLED, pb.TASK_STATE_SKIPPED})
_TEMPLATE = re.compile(r"\{\{\s*(?:input\.([A-Za-z0-9_-]+)|([A-Za-z0-9_-]+)\.output)\s*\}\}")


class FakePlan:
    """One plan: its steps as messages, a log of all that happened, and the answers that a test gives.

    `tell` is told everything that happens, as it happens.
    """

    def __init__(
        self, plan: pb.Plan, answer: Answer, worker_id: str, tell: Callable[[pb.WatchPlanResponse], None]
    ) -> None:
        self.plan = plan
        self.tasks = {task.step_id: task for task in plan.tasks}
        self._answer = answer
        self._worker_id = worker_id
        self._tell_onlookers = tell
        self._log: list[pb.WatchPlanResponse] = []
        self._news = asyncio.Event()
        self._done = {step_id: asyncio.Event() for step_id in self.tasks}
        self._running: list[asyncio.Task[None]] = []

    @property
    def ended(self) -> bool:
        """Whether every step has ended."""
        return all(task.state in _ENDED for task in self.tasks.values())

    async def run(self) -> None:
        """Run every step once its dependencies have ended. Returns when all have, or were cancelled."""
        if self.ended:
            return
        self.plan.state = pb.PLAN_STATE_RUNNING
        self._tell_plan()
        async with asyncio.TaskGroup() as group:
            self._running = [group.create_task(self._run_step(task)) for task in self.tasks.values()]

    def cancel(self) -> None:
        """Stop what runs and end what has not ended."""
        if self.ended:
            return
        self.plan.cancel_requested_at.GetCurrentTime()
        for running in self._running:
            running.cancel()
        for task in self.tasks.values():
            if task.state not in _ENDED:
                _leave_trail(task)
                self._end(task, pb.TASK_STATE_CANCELLED)

    async def watch(self, after: Mapping[str, tuple[int, int]]) -> AsyncGenerator[pb.WatchPlanResponse, None]:
        """The plan, what was said so far beyond the cursors in `after` (attempt and seq by task), then what happens."""
        self._refuse_future(after)
        seen = len(self._log)
        current = {task.task_id: task.attempt for task in self.tasks.values()}
        yield pb.WatchPlanResponse(plan=listed_plan(self.plan, with_tasks=True))
        for event in self._log[:seen]:
            if _is_untold(event, current, after):
                yield event
        while True:
            while seen < len(self._log):
                yield self._log[seen]
                seen += 1
            if self.ended:
                return
            await self._news.wait()

    async def _run_step(self, task: pb.Task) -> None:
        for step_id in task.depends_on:
            await self._done[step_id].wait()
        if any(self.tasks[step_id].state != pb.TASK_STATE_SUCCEEDED for step_id in task.depends_on):
            self._end(task, pb.TASK_STATE_SKIPPED)
            return
        reason = "first attempt"
        while task.state not in _ENDED:
            self._begin_attempt(task, reason)
            try:
                await self._say(task)
            except WorkerLost as lost:
                reason = str(lost) or f"worker {self._worker_id} was lost"
                self._lose(task, reason)
            except Exception as error:  # noqa: BLE001 - whatever a test's answer raises is how the run fails
                self._fail(task, run_pb2.FAILURE_REASON_HANDLER, str(error))

    async def _say(self, task: pb.Task) -> None:
        run = self._run_of(task)
        said: list[str] = []
        async for piece in pieces(self._answer, run):
            said.append(piece)
            token = run_pb2.Token(text=piece)
            tokens = run_pb2.Tokens(task_id=task.task_id, attempt=task.attempt, first_seq=len(said), tokens=[token])
            self._tell(pb.WatchPlanResponse(tokens=tokens))
        task.output = "".join(said)
        task.output_bytes = len(task.output.encode())
        usage = run_pb2.Usage(input_tokens=len(run.prompt.split()), output_tokens=len(said))
        task.completion.CopyFrom(
            run_pb2.Completion(provider="fake", model=run.model, stop_reason="end_turn", usage=usage)
        )
        task.usage.CopyFrom(usage)
        self._end(task, pb.TASK_STATE_SUCCEEDED)

    def _run_of(self, task: pb.Task) -> Run:
        return Run(
            task_id=task.task_id,
            step_id=task.step_id,
            attempt=task.attempt,
            prompt=self._rendered(task.spec.prompt),
            system_prompt=self._rendered(task.spec.system_prompt),
            model=task.spec.model,
            queue=task.queue,
            tools=tuple(task.spec.tools),
        )

    def _rendered(self, template: str) -> str:
        def value(match: re.Match[str]) -> str:
            return self.plan.input[match[1]] if match[1] else self.tasks[match[2]].output

        return _TEMPLATE.sub(value, template)

    def _begin_attempt(self, task: pb.Task, reason: str) -> None:
        task.attempt += 1
        task.state = pb.TASK_STATE_RUNNING
        task.worker_id = self._worker_id
        task.queue = task.spec.queue or next(iter(task.spec.placement.preferred_queues), "default")
        task.placement_reason = "the only worker of a fake mesh"
        if not task.HasField("started_at"):
            task.started_at.GetCurrentTime()
        task.ClearField("failure")
        started = pb.AttemptStarted(task_id=task.task_id, attempt=task.attempt, reason=reason)
        self._tell(pb.WatchPlanResponse(attempt_started=started))
        self._tell(pb.WatchPlanResponse(task=listed_task(task)))

    def _lose(self, task: pb.Task, reason: str) -> None:
        if task.attempt >= (task.spec.policy.max_attempts or 3):
            self._fail(task, run_pb2.FAILURE_REASON_WORKER_LOST, reason)

    def _fail(self, task: pb.Task, reason: "run_pb2.FailureReason.ValueType", message: str) -> None:
        task.failure.CopyFrom(run_pb2.Failure(reason=reason, message=message))
        self._end(task, pb.TASK_STATE_FAILED)

    def _end(self, task: pb.Task, state: "pb.TaskState.ValueType") -> None:
        task.state = state
        task.ended_at.GetCurrentTime()
        self._done[task.step_id].set()
        self._tell(pb.WatchPlanResponse(task=listed_task(task)))
        if self.ended:
            self.plan.state = self._final_state()
            self.plan.ended_at.GetCurrentTime()
            self._tell_plan()

    def _final_state(self) -> "pb.PlanState.ValueType":
        if all(task.state == pb.TASK_STATE_SUCCEEDED for task in self.tasks.values()):
            return pb.PLAN_STATE_SUCCEEDED
        return pb.PLAN_STATE_CANCELLED if self.plan.HasField("cancel_requested_at") else pb.PLAN_STATE_FAILED

    def _tell_plan(self) -> None:
        self._tell(pb.WatchPlanResponse(plan=listed_plan(self.plan, with_tasks=True)))

    def _tell(self, event: pb.WatchPlanResponse) -> None:
        self._log.append(event)
        self._tell_onlookers(event)
        news, self._news = self._news, asyncio.Event()
        news.set()

    def _refuse_future(self, after: Mapping[str, tuple[int, int]]) -> None:
        for task in self.tasks.values():
            attempt, seq = after.get(task.task_id, (0, 0))
            said = sum(_is_of(event, task.task_id, attempt) for event in self._log)
            if attempt > task.attempt or (attempt == task.attempt and seq > said):
                raise OutOfRange(f"task {task.task_id} has not come that far", reason="SEQ_OUT_OF_RANGE")


def _leave_trail(task: pb.Task) -> None:
    """A fake mesh has no way to go: every hop is at once."""
    trail = task.cancel_trail
    trail.requested_at.GetCurrentTime()
    if task.state == pb.TASK_STATE_RUNNING:
        for hop in (trail.router_told_at, trail.worker_told_at, trail.stopped_at):
            hop.CopyFrom(trail.requested_at)
        trail.model_closed_after.SetInParent()


def validated(plan: pb.Plan) -> None:
    """Refuse what no mesh would take. Raises InvalidInput."""
    found = Violations()
    known = [task.step_id for task in plan.tasks]
    for i, task in enumerate(plan.tasks):
        with found.at(f"steps[{i}]" if task.step_id != "task" else "task"):
            found.text("prompt", task.spec.prompt, limit=256 * 1024, required=True)
            found.text("model", task.spec.model, limit=255, required=True)
            if task.step_id in known[:i]:
                found.add("id", "PLAN_DUPLICATE_ID", f"{task.step_id!r} is the id of an earlier step")
            for j, step_id in enumerate(task.depends_on):
                if step_id not in known:
                    found.add(f"depends_on[{j}]", "PLAN_UNKNOWN_STEP", f"there is no step {step_id!r}")
    try:
        TopologicalSorter({task.step_id: task.depends_on for task in plan.tasks}).prepare()
    except CycleError as error:
        found.add("steps", "PLAN_CYCLE", f"wait for each other: {' -> '.join(error.args[1])}")
    found.raise_if_any()


def listed_task(task: pb.Task) -> pb.Task:
    """A copy as it stands now, without its output."""
    copy = pb.Task()
    copy.CopyFrom(task)
    copy.ClearField("output")
    return copy


def listed_plan(plan: pb.Plan, *, with_tasks: bool) -> pb.Plan:
    """A copy as it stands now, without outputs, and with tasks or without."""
    copy = pb.Plan()
    copy.CopyFrom(plan)
    del copy.tasks[:]
    if with_tasks:
        copy.tasks.extend(map(listed_task, plan.tasks))
    return copy


def _is_of(event: pb.WatchPlanResponse, task_id: str, attempt: int) -> bool:
    return event.HasField("tokens") and (event.tokens.task_id, event.tokens.attempt) == (task_id, attempt)


def _is_untold(event: pb.WatchPlanResponse, current: Mapping[str, int], after: Mapping[str, tuple[int, int]]) -> bool:
    """Whether a watcher that comes later, and knows what lies before its cursors, still has to be told `event`."""
    match event.WhichOneof("event"):
        case "attempt_started":
            task_id, attempt, seq = event.attempt_started.task_id, event.attempt_started.attempt, 0
        case "tokens":
            task_id, attempt, seq = event.tokens.task_id, event.tokens.attempt, event.tokens.first_seq
        case _:
            return False
    return attempt == current[task_id] and (attempt, seq) > after.get(task_id, (0, 0))
