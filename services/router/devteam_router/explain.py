"""Answers to "why does it wait?" and "why there?"."""

from collections.abc import Sequence
from dataclasses import dataclass

from devteam.mesh.errors import NotFound
from devteam_router.attempts import Attempts
from devteam_router.dispatch import AssignedTo, Waits
from devteam_router.domain import Candidate, Signature
from devteam_router.matching import Matcher


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a run stands, and the workers that were weighed for it: the best first, then those who were removed."""

    standing: Waits | AssignedTo | None
    candidates: Sequence[Candidate]


class Explainer:
    """Explains runs that wait, runs that were placed, and runs that nobody has submitted yet."""

    def __init__(self, attempts: Attempts, matcher: Matcher) -> None:
        self._attempts = attempts
        self._matcher = matcher

    def task(self, task_id: str) -> Explanation:
        """Why a task waits or runs where it does. Raises NotFound when the Router does not remember it."""
        dispatch = self._attempts.newest_of(task_id)
        if dispatch is not None and isinstance(dispatch.status, Waits) and dispatch.run is not None:
            return Explanation(dispatch.status, self._weighed(dispatch.run.signature))
        placement = self._attempts.decisions.get(task_id)
        if dispatch is not None and dispatch.assignment is not None:
            return Explanation(dispatch.assignment, placement.weighed if placement else ())
        if placement is None:
            raise NotFound("task", task_id, message=f"the router holds no run of task {task_id}")
        return Explanation(placement.assigned, placement.weighed)

    def dry_run(self, signature: Signature) -> Explanation:
        """Where a run of this signature would go now."""
        examination = self._matcher.examine(signature)
        standing = None if examination.eligible else Waits(examination.wait, signature.queues[0])
        return Explanation(standing, self._weighed(signature))

    def _weighed(self, signature: Signature) -> list[Candidate]:
        examination = self._matcher.examine(signature)
        return [*self._matcher.ordered(signature, examination.eligible), *examination.rejected]
