"""Whether the worker takes a run that it is offered."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import ceil

from devteam_worker.domain import Assignment, Declaration, Queue
from devteam_worker.models import matches
from devteam_worker.runs import Runs


class RejectReason(StrEnum):
    """Why a run is not taken."""

    BUSY = "busy"
    DRAINING = "draining"
    NOT_SERVED = "not_served"


@dataclass(slots=True)
class Desk:
    """The slots of this worker, and whether it still takes work: the second line of defence behind the Router."""

    queues: Mapping[str, Queue]
    concurrency: int
    # What steps may ask for.
    tools: frozenset[str] = frozenset()
    draining: bool = field(default=False)
    _declared: int = field(init=False)

    def __post_init__(self) -> None:
        self._declared = self.concurrency

    def declare(self, declaration: Declaration) -> None:
        """Count with other slots from now on, unless an operator wishes others; what runs beyond them runs on."""
        self.queues = {queue.name: queue for queue in declaration.queues}
        wished, self._declared = self.concurrency != self._declared, declaration.concurrency
        if not wished:
            self.concurrency = declaration.concurrency
        self.tools = frozenset(declaration.tools)

    def refusal(self, assignment: Assignment, runs: Runs) -> tuple[RejectReason, str] | None:
        """Why not to take this run, with a sentence; None to take it."""
        queue, model = self.queues.get(assignment.queue), assignment.prompt.model
        if self.draining:
            return RejectReason.DRAINING, "the worker drains"
        if queue is None:
            return RejectReason.NOT_SERVED, f"the queue {assignment.queue} is not served here"
        if not matches(queue.models, model):
            return RejectReason.NOT_SERVED, f"the model {model} is not served in {queue.name}"
        if missing := [name for name in assignment.prompt.tools if name not in self.tools]:
            return RejectReason.NOT_SERVED, f"the tool {missing[0]} is not there"
        if runs.active() >= self.concurrency or runs.active(queue.name) >= self._limit(queue):
            return RejectReason.BUSY, "every slot is taken"
        return None

    def _limit(self, queue: Queue) -> int:
        """Slots of a queue. As the Registry does it: more slots in all than declared are more in each queue."""
        return max(queue.concurrency, ceil(queue.concurrency * self.concurrency / self._declared))
