"""A Planner's stores between several drivers and several workers, each of which may be late."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeVar

from devteam_planner.convert.tokens import joined
from devteam_planner.domain import Batch, TaskState, WorkerInstance
from devteam_planner.ports import Ending, Entry, PlanStore, Stretch, TokenStore
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from devteam.v1 import run_pb2
from tests.fakes.planner_samples import NOON, a_batch, a_plan

_T = TypeVar("_T")
STEPS = ("a", "b")
WORKERS = (WorkerInstance("w1", "i1"), WorkerInstance("w1", "i2"), WorkerInstance("w2", "i1"))
_plans = count(1)

any_step = st.sampled_from(STEPS)
any_worker = st.sampled_from(WORKERS)
# How many attempts a driver or a worker is behind.
late = st.sampled_from([0, 0, 0, 1, 2])


@dataclass(slots=True)
class Expected:
    """What a task must be, by the rules of the ports."""

    attempt: int = 0
    open: bool = False
    worker: WorkerInstance | None = None
    state: TaskState = TaskState.PENDING
    said: dict[int, list[Batch]] = field(default_factory=dict)

    def holds(self, attempt: int, worker: WorkerInstance | None) -> bool:
        """Whether this worker has this attempt, and it is open."""
        return self.open and attempt == self.attempt and worker == self.worker


class AttemptMachine(RuleBasedStateMachine):
    """Every write is foretold: it must happen exactly when the fence lets it. `played` counts the games."""

    played = 0

    def __init__(self, loop: asyncio.AbstractEventLoop, plans: PlanStore, tokens: TokenStore) -> None:
        super().__init__()
        self.loop, self.plans, self.tokens = loop, plans, tokens
        self.plan_id = f"p-{next(_plans)}"
        self.expected = {step: Expected() for step in STEPS}

    def go(self, action: Coroutine[Any, Any, _T]) -> _T:
        return self.loop.run_until_complete(action)

    def task_id(self, step: str) -> str:
        return f"{self.plan_id}.{step}"

    @initialize()
    def a_plan_is_there(self) -> None:
        self.go(self.plans.add(a_plan(self.plan_id, STEPS)))

    @rule(step=any_step, behind=late)
    def a_driver_begins(self, step: str, behind: int) -> None:
        """It opens what it takes for the next attempt."""
        task, after = self.expected[step], max(self.expected[step].attempt - behind, 0)
        begins = after == task.attempt and not task.open and not task.state.ended
        begun = self.go(self.plans.begin_attempt(self.task_id(step), after=after, reason="", now=NOON))
        assert (begun is not None) == begins
        if begun is not None:
            assert begun.attempt == task.attempt + 1
            task.attempt, task.open, task.worker, task.state = begun.attempt, True, None, TaskState.QUEUED

    @rule(step=any_step, behind=late, worker=any_worker)
    def a_driver_notes_where_it_is(self, step: str, behind: int, worker: WorkerInstance) -> None:
        task, attempt = self.expected[step], self.expected[step].attempt - behind
        noted = self.go(self.plans.note_assigned(self.task_id(step), attempt, worker, "q", "in turn", NOON))
        assert noted == (task.open and not behind)
        if noted:
            task.worker, task.state = worker, TaskState.RUNNING

    @rule(step=any_step, behind=late)
    def a_driver_notes_that_it_waits(self, step: str, behind: int) -> None:
        task, attempt = self.expected[step], self.expected[step].attempt - behind
        noted = self.go(self.plans.note_waiting(self.task_id(step), attempt, "no worker", NOON))
        assert noted == (task.open and not behind)
        if noted:
            task.worker, task.state = None, TaskState.QUEUED

    @rule(step=any_step, behind=late, worker=any_worker, again=st.booleans())
    def a_worker_speaks(self, step: str, behind: int, worker: WorkerInstance, *, again: bool) -> None:
        """Its next words, or its last ones once more."""
        task, attempt = self.expected[step], self.expected[step].attempt - behind
        said = task.said.get(attempt, [])
        repeated = again and bool(said)
        batch = said[-1] if repeated else a_batch(said[-1].last_seq + 1 if said else 1, "hello", "you")
        refused = self.go(self.tokens.append([Entry(self.task_id(step), attempt, worker, batch)]))
        assert bool(refused) == (not repeated and not task.holds(attempt, worker))
        if not refused and not repeated:
            task.said.setdefault(attempt, []).append(batch)

    @rule(
        step=any_step,
        behind=late,
        worker=st.sampled_from([None, *WORKERS]),
        state=st.sampled_from([TaskState.QUEUED, TaskState.QUEUED, TaskState.SUCCEEDED, TaskState.FAILED]),
    )
    def a_driver_ends(self, step: str, behind: int, worker: WorkerInstance | None, state: TaskState) -> None:
        """With what it heard from that worker, or from nobody."""
        task, attempt = self.expected[step], self.expected[step].attempt - behind
        ending = Ending(state, burns=True, output="done")
        ended = self.go(self.plans.end_attempt(self.task_id(step), attempt, worker, ending, NOON))
        assert ended == task.holds(attempt, worker)
        if ended:
            task.open, task.state = False, state

    @rule(step=any_step, state=st.sampled_from([TaskState.CANCELLED, TaskState.SKIPPED]))
    def nobody_begins(self, step: str, state: TaskState) -> None:
        task = self.expected[step]
        ended = self.go(self.plans.end_task(self.task_id(step), state, None, NOON))
        assert ended == (not task.open and not task.state.ended)
        if ended:
            task.state = state

    @rule(step=any_step, behind=late)
    def a_packer_merges(self, step: str, behind: int) -> None:
        """What was said in attempts that are over, and nothing else."""
        task, attempt = self.expected[step], self.expected[step].attempt - behind
        said = task.said.get(attempt, [])
        over = attempt < task.attempt or not task.open
        stretch = Stretch(attempt, 1, said[-1].last_seq if said else 1, 0)
        merged = self.go(self.tokens.merge(self.task_id(step), stretch, _as_one))
        assert merged == (over and bool(said))

    @invariant()
    def the_store_holds_what_was_let_in_and_nothing_else(self) -> None:
        for step, expected in self.expected.items():
            task = self.go(self.plans.task(self.task_id(step)))
            assert (task.attempt, task.attempt_open, task.state) == (expected.attempt, expected.open, expected.state)
            assert task.worker == expected.worker or not expected.open

    def teardown(self) -> None:
        """Everything that was ever stored, attempt by attempt."""
        for step, expected in self.expected.items():
            for attempt in range(expected.attempt + 2):
                stored = self.go(self.tokens.read(self.task_id(step), attempt, after=0, limit=1000))
                assert _words(stored) == _words(expected.said.get(attempt, []))
        type(self).played += 1


def _as_one(batches: Sequence[Batch]) -> Batch:
    return Batch(batches[0].first_seq, batches[-1].last_seq, joined(batches))


def _words(batches: Sequence[Batch]) -> list[tuple[int, str]]:
    """Each with its seq."""
    messages = (run_pb2.Tokens.FromString(batch.payload).tokens for batch in batches)
    return [
        (batch.first_seq + place, token.text)
        for batch, tokens in zip(batches, messages, strict=True)
        for place, token in enumerate(tokens)
    ]
