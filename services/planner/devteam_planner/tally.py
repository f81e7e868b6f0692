"""What became of the work, in metrics: each end once, as the store took it."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta

from devteam.mesh.clock import Clock
from devteam.mesh.errors import Unavailable
from devteam.mesh.metrics import catalog
from devteam.mesh.metrics.instruments import count, expect, record
from devteam_planner.domain import (
    Completion,
    FailureReason,
    GivenBack,
    Outcome,
    Plan,
    PlanState,
    StepOutcome,
    Task,
    TaskState,
    Usage,
)
from devteam_planner.overview import Overview
from devteam_planner.ports import Ending, RunAssigned

_SUCCEEDED, _FAILED, _LOST, _CANCELLED, _HANDED_BACK = "succeeded", "failed", "lost", "cancelled", "handed_back"
# How attempts end for which nobody has to say why.
_OUTCOMES = {
    TaskState.SUCCEEDED: _SUCCEEDED,
    TaskState.CANCELLED: _CANCELLED,
}
_LOSSES = {FailureReason.WORKER_LOST, FailureReason.POISON}
_FENCED = ("tokens", "end", "assigned", "waiting")
_KINDS = ("input", "output", "cache_read", "cache_write")
# Models of tasks that ended within these are in use.
_LATELY, _LAST = timedelta(days=7), 200


def begin() -> None:
    """Nothing has happened yet: counts that are asked for are there, and 0."""
    count(catalog.TASKS_CREATED, 0)
    for state in TaskState:
        if state.ended:
            count(catalog.TASKS_ENDED, 0, state.value)
    for outcome in _OUTCOMES.values():
        count(catalog.ATTEMPTS, 0, outcome, "")
    for given_back in GivenBack:
        count(catalog.ATTEMPTS, 0, _HANDED_BACK, given_back.value)
    for reason in FailureReason:
        count(catalog.ATTEMPTS, 0, _outcome_of(reason), reason.value)
    for what in _FENCED:
        count(catalog.FENCED_WRITES, 0, what)


async def recall(overview: Overview, clock: Clock) -> None:
    """What is counted by model is there, and 0, for models that were in use lately: what they took is known by name."""
    # A store that is away now tells nothing: the counters begin with what comes first.
    with suppress(Unavailable):
        ended = await overview.ended(clock.now() - _LATELY, _LAST)
        for task in reversed(await overview.tasks(ended)):
            if task.usage != Usage():
                _expect(_names(task), priced=task.usage.cost_usd is not None)


def created(plan: Plan) -> None:
    """A plan was accepted, with its tasks."""
    count(catalog.TASKS_CREATED, len(plan.tasks))


def task_ended(state: TaskState) -> None:
    """A task has ended, with no attempt."""
    count(catalog.TASKS_ENDED, 1, state.value)


def plan_closed(before: Plan, state: PlanState) -> None:
    """A plan was closed: with it ended what had not ended `before`."""
    left = 0 if before.state.ended else sum(not task.state.ended for task in before.tasks)
    if left:
        end = TaskState.CANCELLED if state is PlanState.CANCELLED else TaskState.SKIPPED
        count(catalog.TASKS_ENDED, left, end.value)


def attempt_ended(model: str, ending: Ending) -> None:
    """An attempt is over, and its task too if no other one follows. `model` as the task names it."""
    if ending.state.ended:
        count(catalog.TASKS_ENDED, 1, ending.state.value)
    if ending.failure is not None:
        reason = ending.failure.reason
        count(catalog.ATTEMPTS, 1, _outcome_of(reason), reason.value)
        _used(model, ending.failure.usage)
        return
    _used(model, ending.spent)
    if ending.state is TaskState.QUEUED:
        count(catalog.ATTEMPTS, 1, _HANDED_BACK, (ending.given_back or GivenBack.UNKNOWN).value)
    else:
        count(catalog.ATTEMPTS, 1, _OUTCOMES[ending.state], "")
    if ending.completion is not None:
        _used(ending.completion.model or model, ending.completion.usage)


class Pace:
    """How fast one run is, as its driver sees it; only of runs that it saw begin. `model` as the task names it."""

    def __init__(self, clock: Clock, model: str) -> None:
        self._clock = clock
        self._model = model
        self._given: float | None = None
        self._spoke: float | None = None

    def assigned(self, event: RunAssigned) -> None:
        """A worker has it."""
        self._given = None if event.adopted else self._clock.monotonic()
        self._spoke = None
        _expect([self._model], priced=False)

    def heard(self) -> None:
        """Tokens have come."""
        if self._spoke is None:
            self._spoke = self._clock.monotonic()

    def ended(self, outcome: Outcome, stored: StepOutcome | None) -> None:
        """Its report came, and was stored as this; None: it was refused."""
        if not isinstance(outcome, Completion) or stored is None or stored.state is not TaskState.SUCCEEDED:
            return
        now, model = self._clock.monotonic(), outcome.model or self._model
        if outcome.time_to_first_token > 0:
            record(catalog.TIME_TO_FIRST_TOKEN, outcome.time_to_first_token, model)
        if self._given is None:
            return
        record(catalog.RUN_DURATION, now - self._given, model)
        if self._spoke is not None and outcome.usage.output_tokens > 1:
            record(catalog.TIME_PER_OUTPUT_TOKEN, (now - self._spoke) / (outcome.usage.output_tokens - 1), model)


def _outcome_of(reason: FailureReason) -> str:
    return _LOST if reason in _LOSSES else _FAILED


def _names(task: Task) -> list[str]:
    """The model as the task names it, and as its provider does."""
    provided = task.completion.model if task.completion else ""
    return [name for name in (provided, task.spec.model) if name]


def _expect(models: Iterable[str], *, priced: bool) -> None:
    """Runs of these models may take something. Those without a price never take dollars."""
    for model in models:
        for kind in _KINDS:
            expect(catalog.TOKENS, model, kind)
        if priced:
            expect(catalog.COST_USD, model)


def _used(model: str, usage: Usage) -> None:
    if usage == Usage():
        return
    taken = (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.cache_write_tokens)
    for kind, tokens in zip(_KINDS, taken, strict=True):
        count(catalog.TOKENS, tokens, model, kind)
    if usage.cost_usd is not None:
        count(catalog.COST_USD, usage.cost_usd, model)
