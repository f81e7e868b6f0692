"""Brings one task forward: one attempt from its beginning, or from wherever a dead driver left it, to its end.

The store decides, never memory: after anything unexpected the task is read again and the next move follows from what
is stored. That makes a crash, a restart and a second driver of the same task ordinary cases.
"""

from collections.abc import Callable, Iterable
from contextlib import aclosing, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from devteam.mesh.clock import Clock
from devteam.mesh.errors import Aborted, InvalidInput, ResourceExhausted, Unavailable
from devteam.mesh.tasks import Backoff
from devteam_planner import attempt_span, fencing, prompts, tally
from devteam_planner.attempt_span import AttemptSpans
from devteam_planner.cancels import Cancels
from devteam_planner.domain import (
    MAX_OUTPUT_BYTES,
    MAX_PROMPT_BYTES,
    Batch,
    Cancelled,
    Completion,
    Failure,
    FailureReason,
    HandedBack,
    Plan,
    Run,
    StepOutcome,
    Task,
    TaskState,
    WorkerInstance,
)
from devteam_planner.ports import (
    STORE_AWAY,
    Ending,
    PlanStore,
    Router,
    RouterGone,
    RunAssigned,
    RunCancelling,
    RunLost,
    RunReport,
    RunTokens,
    RunWaiting,
)
from devteam_planner.retry_policy import POISONOUS_LOSSES, Verdict, attempt_reason, tells_of_loss, verdict

_log = structlog.get_logger()

# A driver that was superseded waits this long before it contests the attempt: by then a stale one has been stopped.
_CONTEST_PAUSE = 10.0
# Where a Router is gone and did not say whether anybody has the attempt: by then a worker that has it told the others.
_CLAIM_PAUSE = 2.0
_PAGE = 256


class Log(Protocol):
    """Where tokens are kept, gathered into few writes. All async methods raise Unavailable when the store is."""

    async def append(self, plan_id: str, task_id: str, attempt: int, worker: WorkerInstance, batch: Batch) -> None:
        """Take a batch that follows the last one; wait while too much is unwritten.

        Raises Aborted, FENCED once the store has refused earlier ones.
        """

    async def settle(self, task_id: str, attempt: int) -> int:
        """Wait until everything appended is written; the seq of the last stored token, 0 when there is none."""

    async def read(self, task_id: str, attempt: int, after: int, limit: int) -> list[Batch]:
        """Up to `limit` batches, in order, that hold tokens after seq `after`."""

    def forget(self, task_id: str, attempt: int) -> None:
        """Nobody here appends to the attempt for now."""


class TextOf(Protocol):
    """Makes text of tokens."""

    def __call__(self, batches: Iterable[Batch], *, after: int) -> str:
        """The text of batches in their order, without the tokens up to seq `after`."""


class StepDriver:
    """Drives tasks. `ring` is called with the plan's id after every change; `jitter` gives numbers from 0 to 1.

    `on_ended` is told the task of every attempt that ends, and how many tokens were reported (0: nobody did).
    """

    def __init__(
        self,
        *,
        store: PlanStore,
        log: Log,
        router: Router,
        clock: Clock,
        ring: Callable[[str], None],
        text_of: TextOf,
        jitter: Callable[[], float],
        on_ended: Callable[[str, int], None],
    ) -> None:
        self._store = store
        self._log = log
        self._router = router
        self._clock = clock
        self._ring = ring
        self._text_of = text_of
        self._jitter = jitter
        self._on_ended = on_ended
        self._cancels = Cancels(store, router, clock, ring)

    async def run(self, plan_id: str, task_id: str) -> StepOutcome:
        """Bring at most one attempt to its end. Raises NotFound, and Unavailable when the store is."""
        with structlog.contextvars.bound_contextvars(task_id=task_id), AttemptSpans(self._store) as spans:
            return await self._brought_on(plan_id, task_id, spans)

    async def _brought_on(self, plan_id: str, task_id: str, spans: AttemptSpans) -> StepOutcome:
        backoff = Backoff(self._clock)
        while True:
            # No task is held here while its run waits, which may be for days: that has the prompt, too.
            match await self._looked_at(plan_id, task_id, spans):
                case StepOutcome() as outcome:
                    return outcome
                case Run() as run:
                    if ended := await self._tried(run, backoff):
                        return ended

    async def _looked_at(self, plan_id: str, task_id: str, spans: AttemptSpans) -> StepOutcome | Run | None:
        """What became of the task, or the run to try next; None when it has to be looked at again."""
        task = await self._store.task(task_id)
        await spans.take_up(task)
        if task.attempt and not task.attempt_open:
            # Whoever stored the end may have died before saying so.
            self._router.acknowledge(task_id, task.attempt, 0, report=True)
        if task.state.ended:
            return StepOutcome(task.state)
        return await self._prepared(await self._store.head(plan_id), task, spans)

    async def _prepared(self, plan: Plan, task: Task, spans: AttemptSpans) -> Run | None:
        """The task's open attempt, begun if need be; None when something else became of the task."""
        if plan.cancel_requested_at is not None and await self._stopped(task):
            return None
        outputs = await self._outputs(plan, task)
        try:
            prompt, system_prompt = prompts.rendered(plan, task.spec, outputs)
        except prompts.PromptTooLarge:
            text = f"with its templates filled, the prompt has more than {MAX_PROMPT_BYTES // 1024} KiB"
            await self._decide(task, TaskState.FAILED, Failure(FailureReason.PROMPT_TOO_LARGE, text))
            return None
        begun = task if task.attempt_open else await self._begun(task, spans)
        if begun is None:
            return None
        return Run(begun, prompt, system_prompt, plan.trace_context, await self._schedule_deadline(begun))

    async def _outputs(self, plan: Plan, task: Task) -> dict[str, str]:
        steps = prompts.sources(plan, task.spec)
        return dict(await self._store.outputs(plan.plan_id, steps)) if steps else {}

    async def _begun(self, task: Task, spans: AttemptSpans) -> Task | None:
        reason, now = attempt_reason(task), self._clock.now()
        begun = await self._store.begin_attempt(
            task.task_id,
            after=task.attempt,
            reason=reason,
            now=now,
            traceparent=await spans.begin(task, reason),
        )
        if begun is None:
            spans.leave()
        self._ring(task.plan_id)
        # The same words, read twice: one copy of a prompt will do for a run that waits.
        return begun and replace(begun, spec=task.spec)

    async def _schedule_deadline(self, task: Task) -> datetime | None:
        """Counted from the attempt's beginning, however often it is dispatched."""
        if task.spec.policy.schedule_timeout is None:
            return None
        attempt = await self._store.attempt(task.task_id, task.attempt)
        begun_at = attempt and attempt.begun_at
        return (begun_at or self._clock.now()) + timedelta(seconds=task.spec.policy.schedule_timeout)

    async def _stopped(self, task: Task) -> bool:
        """Stop a task of a cancelled plan; False when a worker has it, and with it the last word."""
        if task.attempt_open:
            with suppress(Unavailable):
                await self._cancels.tell_router(task)
        if task.attempt_open and task.worker:
            return False
        await self._decide(task, TaskState.CANCELLED, None)
        return True

    async def _decide(self, task: Task, state: TaskState, failure: Failure | None) -> None:
        """End the task without a word from a worker."""
        if task.attempt_open:
            await self._ended(task, Verdict(Ending(state, burns=failure is not None, failure=failure)), 0)
        else:
            if await self._store.end_task(task.task_id, state, failure, self._clock.now()):
                tally.task_ended(state)
            self._ring(task.plan_id)

    async def _tried(self, run: Run, backoff: Backoff) -> StepOutcome | None:
        """Dispatch once; None when the task has to be looked at again, after a pause where one is due."""
        try:
            return await self._dispatched(run, backoff)
        except RouterGone as error:
            attempt_span.interrupted(error)
            _log.info("dispatch moves", task_id=run.task.task_id, attempt=run.task.attempt, error=error.message)
            await self._let_claim(run.task)
        except Unavailable as error:
            attempt_span.interrupted(error)
            _log.info("dispatch interrupted", task_id=run.task.task_id, attempt=run.task.attempt, error=error.message)
            if error.reason not in STORE_AWAY:
                await self._waits(run.task, "the Router cannot be reached at the moment")
            await self._end_overdue(run)
            await backoff.pause()
        except ResourceExhausted as error:
            attempt_span.interrupted(error)
            await self._waits(run.task, f"the Router takes no more: {error.message}")
            await self._end_overdue(run)
            # Not all at once: whatever is refused now was refused together.
            await self._clock.sleep(error.retry_after * (1 + self._jitter()))
        except Aborted as error:
            attempt_span.interrupted(error)
            _log.info("dispatch taken over", task_id=run.task.task_id, attempt=run.task.attempt, reason=error.reason)
            if error.reason != fencing.FENCED or await self._is_open(run.task):
                await self._clock.sleep(_CONTEST_PAUSE)
            else:
                await self._let_go(run.task)
        except InvalidInput as error:
            refusal = Failure(FailureReason.INVALID_REQUEST, error.message)
            await self._decide(run.task, TaskState.FAILED, refusal)
        finally:
            self._log.forget(run.task.task_id, run.task.attempt)
        return None

    async def _end_overdue(self, run: Run) -> None:
        """End an attempt that nobody took in time: the Router would, but it does not have it."""
        if run.schedule_deadline is None or self._clock.now() < run.schedule_deadline:
            return
        with suppress(Unavailable):
            task = await self._store.task(run.task.task_id)
            if task.attempt == run.task.attempt and task.attempt_open and task.worker is None:
                text = f"no worker took it within its schedule_timeout: {task.wait_reason}"
                await self._decide(task, TaskState.FAILED, Failure(FailureReason.SCHEDULE_TIMEOUT, text))

    async def _let_claim(self, task: Task) -> None:
        """Placed at once by another Router, an attempt could begin twice: perhaps it was assigned, unheard."""
        if (await self._store.task(task.task_id)).worker is None:
            await self._clock.sleep(_CLAIM_PAUSE)

    async def _is_open(self, task: Task) -> bool:
        now = await self._store.task(task.task_id)
        return now.attempt == task.attempt and now.attempt_open

    async def _let_go(self, task: Task) -> None:
        """Nobody stores any longer what the attempt says: let no worker go on with it."""
        with suppress(Unavailable):
            await self._router.cancel(task.task_id, task.attempt)

    async def _waits(self, task: Task, reason: str) -> None:
        """Say why an attempt that no worker has yet does not get on; a store that is away need not hear it."""
        with suppress(Unavailable):
            now = await self._store.task(task.task_id)
            if now.attempt == task.attempt and now.worker is None and now.wait_reason != reason:
                await self._store.note_waiting(task.task_id, task.attempt, reason, self._clock.now())
                self._ring(task.plan_id)

    async def _dispatched(self, run: Run, backoff: Backoff) -> StepOutcome | None:
        task, told, pace = run.task, False, tally.Pace(self._clock, run.task.spec.model)
        stored = await self._log.settle(task.task_id, task.attempt)
        async with aclosing(self._router.dispatch(run, last_seq=stored, assigned=task.worker)) as events:
            async for event in events:
                match event:
                    case RunTokens():
                        pace.heard()
                        await self._log.append(task.plan_id, task.task_id, task.attempt, _speaker(task), event.batch)
                    case RunCancelling():
                        await self._cancels.worker_told(task)
                    case RunReport():
                        outcome = await self._reported(task, event)
                        pace.ended(event.outcome, outcome)
                        return outcome
                    case RunLost():
                        return await self._ended(task, await self._verdict(task, event), 0)
                    case RunWaiting() | RunAssigned():
                        task = await self._noted(task, event)
                        if isinstance(event, RunAssigned):
                            pace.assigned(event)
                        if not told:
                            # Whoever cancels tells the Router, but perhaps did so before it knew this attempt.
                            await self._cancel_if_asked(task)
                        told = True
                        backoff.reset()
        raise Unavailable("the dispatch ended without a report")

    async def _noted(self, task: Task, event: RunWaiting | RunAssigned) -> Task:
        """Store where the attempt is; the task, with the worker that has it now. Raises Aborted, FENCED."""
        if isinstance(event, RunWaiting):
            worker = None
            ours = await self._store.note_waiting(task.task_id, task.attempt, event.reason, self._clock.now())
        else:
            worker = event.worker
            attempt_span.assigned(event)
            ours = await self._store.note_assigned(
                task.task_id, task.attempt, worker, event.queue, event.reason, self._clock.now()
            )
        self._ring(task.plan_id)
        if not ours:
            fencing.refused("waiting" if worker is None else "assigned", task.task_id, task.attempt)
            raise Aborted("somebody else ended the attempt", reason=fencing.FENCED)
        return replace(task, worker=worker)

    async def _cancel_if_asked(self, task: Task) -> None:
        if await self._cancelling(task):
            await self._cancels.tell_router(task)

    async def _reported(self, task: Task, report: RunReport) -> StepOutcome | None:
        stored = await self._log.settle(task.task_id, task.attempt)
        if stored < report.last_seq:
            raise Unavailable(f"the report came without the tokens {stored + 1} to {report.last_seq}")
        if not isinstance(report.outcome, Completion):
            return await self._ended(task, await self._verdict(task, report.outcome), report.last_seq)
        completed = Verdict(await self._completed(task, report.outcome, report.last_seq))
        ended = await self._ended(task, completed, report.last_seq)
        if ended is None and await self._cancelling(task):
            # It was done before it could be stopped: whoever cancelled it was told that it will not succeed.
            spent = report.outcome.usage
            too_late = Verdict(Ending(TaskState.CANCELLED, burns=False, stopped=Cancelled(), spent=spent))
            return await self._ended(task, too_late, report.last_seq)
        return ended

    async def _completed(self, task: Task, completion: Completion, last_seq: int) -> Ending:
        output = await self._output(task, last_seq)
        if output is not None:
            return Ending(TaskState.SUCCEEDED, burns=False, output=output, completion=completion)
        text = f"the output has more than {MAX_OUTPUT_BYTES // 1024**2} MiB: ask for less, or split the task"
        failure = Failure(FailureReason.OUTPUT_TOO_LARGE, text, usage=completion.usage)
        return Ending(TaskState.FAILED, burns=True, failure=failure)

    async def _output(self, task: Task, last_seq: int) -> str | None:
        """The text of all tokens; None when it is too large."""
        parts: list[str] = []
        size = after = 0
        while after < last_seq and (batches := await self._log.read(task.task_id, task.attempt, after, _PAGE)):
            # NUL is the one character that PostgreSQL cannot hold.
            parts.append(self._text_of(batches, after=after).replace("\x00", "\ufffd"))
            size += len(parts[-1].encode())
            if size > MAX_OUTPUT_BYTES:
                return None
            after = batches[-1].last_seq
        return "".join(parts)

    async def _verdict(self, task: Task, outcome: Failure | HandedBack | RunLost | Cancelled) -> Verdict:
        return verdict(
            await self._store.task(task.task_id),
            outcome,
            cancelling=await self._cancelling(task),
            losses=await self._losses(task),
            jitter=self._jitter(),
        )

    async def _ended(self, task: Task, decided: Verdict, last_seq: int) -> StepOutcome | None:
        """Store the end of the attempt and say so; None when somebody else decided before."""
        now = self._clock.now()
        if not await self._store.end_attempt(task.task_id, task.attempt, task.worker, decided.ending, now):
            fencing.refused("end", task.task_id, task.attempt)
            return None
        attempt_span.ended(decided.ending)
        tally.attempt_ended(task.spec.model, decided.ending)
        if decided.ending.stopped:
            self._cancels.stopped(task)
        self._router.acknowledge(task.task_id, task.attempt, last_seq, report=True)
        self._ring(task.plan_id)
        self._on_ended(task.task_id, last_seq)
        return StepOutcome(decided.ending.state, decided.retry_after)

    async def _cancelling(self, task: Task) -> bool:
        return (await self._store.head(task.plan_id)).cancel_requested_at is not None

    async def _losses(self, task: Task) -> int:
        """Earlier attempts whose worker vanished, counted as far as the policy asks."""
        found = 0
        if task.burnt + 1 < POISONOUS_LOSSES:
            return found
        for number in range(task.attempt, 1, -1):
            attempt = await self._store.attempt(task.task_id, number)
            found += attempt is not None and tells_of_loss(attempt.reason)
        return found


def _speaker(task: Task) -> WorkerInstance:
    if task.worker is None:
        raise Unavailable("tokens came before the name of the worker that says them", reason="TOKENS_UNSIGNED")
    return task.worker
