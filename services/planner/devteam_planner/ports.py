"""What the Planner's domain needs from the outside."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from devteam.mesh.errors import Unavailable
from devteam_planner.domain import (
    Attempt,
    Batch,
    Cancelled,
    Completion,
    Failure,
    GivenBack,
    Outcome,
    Plan,
    PlanState,
    Run,
    Task,
    TaskState,
    Usage,
    WorkerInstance,
)

# The reasons of what stores raise that cannot be read or written now, whatever is asked of them.
STORE_AWAY = frozenset({"STORAGE_UNAVAILABLE", "SCHEMA_CHANGING"})


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ends, as one write.

    `state` is the task's next state: an end, or QUEUED when another attempt follows. `burns` says whether the attempt
    counts against the policy's max_attempts. `wait_reason` says why another attempt follows, unless `failure` does.
    `given_back` says why an attempt that was not cancelled costs nothing. `stopped` is the worker's word that a cancel
    has stopped its model. `spent` is what the attempt took, unless `completion` or `failure` says so.
    """

    state: TaskState
    burns: bool
    output: str = ""
    completion: Completion | None = None
    failure: Failure | None = None
    wait_reason: str = ""
    given_back: GivenBack | None = None
    stopped: Cancelled | None = None
    spent: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class Entry:
    """Tokens for the log: of which attempt they are, and which worker instance said them."""

    task_id: str
    attempt: int
    worker: WorkerInstance
    batch: Batch


class Unreadable(Exception):
    """What is stored as tokens is none."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive stored tokens of an attempt, both ends included, and how many bytes they take."""

    attempt: int
    first_seq: int
    last_seq: int
    size: int


class PlanStore(Protocol):
    """Plans, their tasks and attempts. Every write is one transaction. All methods raise Unavailable when the store is.

    Writes that concern an attempt are fenced: they happen only while `attempt` is the task's newest and open, in the
    write itself, and return False otherwise.
    """

    async def add(self, plan: Plan) -> Plan:
        """Store a plan with its tasks; if its tenant has one of the same non-empty request_id, return that instead."""

    async def requested(self, tenant: str, request_id: str) -> Plan | None:
        """The plan that this request of this tenant made, as `plan`; None if it made none."""

    async def open_tasks(self) -> Mapping[tuple[str, str], int]:
        """How many tasks have not ended, by tenant and the queue that they name ("": none). From an index."""

    async def plan(self, plan_id: str) -> Plan:
        """The plan with its tasks, outputs left out. Raises NotFound."""

    async def head(self, plan_id: str) -> Plan:
        """The plan without its tasks: cheap, however many there are. Raises NotFound."""

    async def versions(self, plan_id: str) -> tuple[int, Mapping[str, int]]:
        """The version of the plan, and those of its tasks by task id: cheaper than to read them. Raises NotFound."""

    async def task(self, task_id: str) -> Task:
        """The task with its output. Raises NotFound."""

    async def outputs(self, plan_id: str, step_ids: Sequence[str]) -> Mapping[str, str]:
        """The outputs of the given steps, by step id; steps that have not succeeded are left out."""

    async def plans(self, *, state: PlanState | None, before: str, limit: int, whose: str = "") -> list[Plan]:
        """Plans (no tasks of their own), the newest first, with ids below `before` unless that is empty.

        Of one tenant, or (empty `whose`) of all; both from an index.
        """

    async def tasks(
        self, *, plan_id: str, state: TaskState | None, before: str, limit: int, whose: str = ""
    ) -> list[Task]:
        """Tasks of a plan, or (empty plan_id) tasks of their own; the newest id first, without outputs; as `plans`."""

    async def begin_attempt(
        self, task_id: str, *, after: int, reason: str, now: datetime, traceparent: str = ""
    ) -> Task | None:
        """Open attempt `after` + 1, in the span of this name, and return the task with it.

        None, and no change, unless `after` is still the newest attempt, is not open, and the task has not ended.
        The task becomes QUEUED; its worker, wait reason, failure and `spent` are cleared.
        """

    async def attempt(self, task_id: str, number: int) -> Attempt | None:
        """That attempt, if there was one."""

    async def note_waiting(self, task_id: str, attempt: int, reason: str, now: datetime) -> bool:
        """Fenced. The attempt waits for a worker, for this reason."""

    async def note_assigned(
        self, task_id: str, attempt: int, worker: WorkerInstance, queue: str, reason: str, now: datetime
    ) -> bool:
        """Fenced. A worker has the attempt: the task is RUNNING, `started_at` is set once."""

    async def end_attempt(
        self, task_id: str, attempt: int, worker: WorkerInstance | None, ending: Ending, now: datetime
    ) -> bool:
        """Fenced, also by the worker that has the attempt (None: nobody). It is over; the task is `ending.state`.

        False too for a success that comes after a cancel was requested.
        """

    async def end_task(self, task_id: str, state: TaskState, failure: Failure | None, now: datetime) -> bool:
        """End a task that has no open attempt and has not ended yet (CANCELLED, SKIPPED, FAILED before it began)."""

    async def request_cancel(self, plan_id: str, now: datetime) -> Plan:
        """Note, once, that the plan shall stop, and return it. A plan that has ended stays as it is. NotFound.

        The trail of every task that has not ended begins.
        """

    async def note_router_told(self, task_id: str, attempt: int, now: datetime) -> bool:
        """The Router took the cancel of the task's newest attempt; True for the first time.

        The attempt may be over by now: news of a hop may be slower than the hops after it.
        """

    async def note_worker_told(self, task_id: str, attempt: int, now: datetime) -> bool:
        """Its worker was told, hence the Router too; as note_router_told."""

    async def start_plan(self, plan_id: str) -> None:
        """The plan's workflow is known to Temporal: PENDING becomes RUNNING, and `unstarted` no longer lists it."""

    async def unstarted(self, limit: int) -> list[Plan]:
        """Plans whose workflow is not known to Temporal yet, the oldest first."""

    async def close_plan(self, plan_id: str, now: datetime) -> PlanState:
        """End the plan once its workflow has nothing more to do.

        Tasks that have not ended become CANCELLED if a cancel was requested, else SKIPPED. The plan's end follows from
        its tasks: SUCCEEDED if all did, else CANCELLED if a cancel was requested, else FAILED. Idempotent.
        """


class TokenStore(Protocol):
    """What models said, by attempt."""

    async def append(self, entries: Sequence[Entry]) -> list[Entry]:
        """Store entries in one transaction; returns those that were refused, the very ones, in their order.

        Fenced, entry by entry, in the write itself: the attempt must be its task's newest and open, and the worker
        instance the one that has it. A batch already stored is left as it is, and not refused; also one whose tokens
        lie in a larger batch by now.
        """

    async def read(self, task_id: str, attempt: int, *, after: int, limit: int) -> list[Batch]:
        """Up to `limit` batches, in order, that hold tokens after seq `after`."""

    async def last_seq(self, task_id: str, attempt: int) -> int:
        """The seq of the last stored token; 0 when there is none."""

    async def stretches(self, task_id: str, *, after: tuple[int, int], limit: int) -> list[Stretch]:
        """Up to `limit` batches of a task, in order, of attempts that are over; `after` an attempt and its seq.

        Their payloads are not read.
        """

    async def merge(self, task_id: str, stretch: Stretch, merged: Callable[[Sequence[Batch]], Batch | None]) -> bool:
        """Put what `merged` makes of the batches in a stretch in their place, in one transaction.

        False, and no change, where the attempt is not over, `merged` makes nothing of them, or somebody else has
        replaced or erased some of them. Raises what `merged` raises, and Unavailable, also for a batch that cannot be
        opened; then, too, all stays as it was.
        """


@dataclass(frozen=True, slots=True)
class RunWaiting:
    """The Router has no worker for the run yet."""

    reason: str


@dataclass(frozen=True, slots=True)
class RunAssigned:
    """A worker was given the run; `reason` says why this one."""

    worker: WorkerInstance
    queue: str
    reason: str
    adopted: bool = False


@dataclass(frozen=True, slots=True)
class RunTokens:
    """More tokens."""

    batch: Batch


@dataclass(frozen=True, slots=True)
class RunCancelling:
    """The Router told the worker to stop."""

    worker: WorkerInstance


@dataclass(frozen=True, slots=True)
class RunReport:
    """The worker's last word. Complete only with all tokens up to last_seq."""

    outcome: Outcome
    last_seq: int


@dataclass(frozen=True, slots=True)
class RunLost:
    """The worker vanished; or it `never_began` the run, which has cost nothing."""

    worker: WorkerInstance
    message: str
    never_began: bool = False


RunEvent = RunWaiting | RunAssigned | RunTokens | RunCancelling | RunReport | RunLost


class RouterGone(Unavailable):
    """The Router that served a dispatch is gone or going, and another one is up: dispatch again at once."""


class Router(Protocol):
    """The Router, as the Planner sees it; however many there are."""

    def dispatch(self, run: Run, *, last_seq: int, assigned: WorkerInstance | None) -> AsyncGenerator[RunEvent, None]:
        """Carry out one attempt. Ends after a RunReport or RunLost.

        Raises Unavailable when the line to the Router breaks (dispatch again with what is stored by then; at once if it
        is RouterGone), Aborted when somebody else drives the attempt or a newer one exists, ResourceExhausted when too
        much waits, InvalidInput.
        """

    def acknowledge(self, task_id: str, attempt: int, seq: int, *, report: bool = False) -> None:
        """Tell the Router, soon, that tokens up to `seq` (and the outcome) are stored. Never waits, never raises."""

    async def cancel(self, task_id: str, attempt: int) -> None:
        """Stop an attempt. Raises Unavailable."""


class Workflows(Protocol):
    """Durable execution, as the Planner sees it."""

    async def start(self, plan: Plan) -> None:
        """Start the plan's workflow; one that runs already is left alone. Raises Unavailable."""

    async def cancel(self, plan_id: str) -> None:
        """Make the plan's workflow start no further step; an unknown or ended one is ignored. Raises Unavailable."""

    async def forget(self, plan_ids: Sequence[str]) -> None:
        """Drop the histories of these plans' workflows; unknown ones are ignored. Raises Unavailable."""
