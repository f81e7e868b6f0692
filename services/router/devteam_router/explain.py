"""Answers to "why does it wait?" and "why there?"."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from devteam.mesh.errors import NotFound
from devteam_router.attempts import Attempts, Placement
from devteam_router.choices import Choice
from devteam_router.dispatch import AssignedTo, Dispatch, Waits
from devteam_router.domain import Candidate, Signature, Wait, Worker
from devteam_router.filters import serves_tenant
from devteam_router.fleet import Fleet
from devteam_router.matching import Matcher
from devteam_router.placing import Placer
from devteam_router.stations import Kind
from devteam_router.verdicts import verdicts


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a run stands, and the workers that were weighed for it: the best first, then those who were removed."""

    standing: Waits | AssignedTo | None
    candidates: Sequence[Candidate]

    def seen_by(self, whose: str) -> "Explanation":
        """Without the workers that are other tenants'; "" sees all."""
        if not whose:
            return self
        return replace(self, candidates=[found for found in self.candidates if serves_tenant(found.worker, whose)])


class Explainer:
    """Explains runs that wait, runs that were placed, and runs that nobody has submitted yet."""

    def __init__(self, attempts: Attempts, matcher: Matcher, fleet: Fleet, placer: Placer) -> None:
        self._attempts = attempts
        self._matcher = matcher
        self._fleet = fleet
        self._placer = placer

    def holds(self, task_id: str) -> bool:
        """Whether this Router holds a run of the task, and not just the memory of one."""
        return self._attempts.newest_of(task_id) is not None

    def task(self, task_id: str, whose: str = "") -> Explanation:
        """Why a task waits or runs where it does.

        Raises NotFound when the Router does not remember it, or it is not this tenant's; "" is everyone.
        """
        dispatch = self._attempts.newest_of(task_id)
        if whose and self._tenant_of(task_id, dispatch) != whose:
            raise _unknown(task_id)
        if dispatch is not None and isinstance(dispatch.status, Waits) and dispatch.run is not None:
            return Explanation(dispatch.status, self._weighed(dispatch.run.signature))
        placement = self._attempts.decisions.get(task_id)
        if dispatch is not None and dispatch.assignment is not None:
            return Explanation(dispatch.assignment, self._recalled(placement) if placement else ())
        if placement is None:
            raise _unknown(task_id)
        return Explanation(placement.assigned, self._recalled(placement))

    def dry_run(self, signature: Signature, now: float, tenant: str = "default") -> Explanation:
        """Where a run of this signature would go now, if it were that tenant's."""
        signature = self._matcher.of_tenant(signature, tenant)
        found = self._matcher.find(signature, now)
        candidates = self._weighed(signature)
        if isinstance(found, Choice):
            return Explanation(None, candidates)
        wait = found if isinstance(found, Wait) else found.wait
        return Explanation(Waits(wait, signature.queues[0]), candidates)

    def _tenant_of(self, task_id: str, dispatch: Dispatch | None) -> str:
        """Whose task it is; empty while only a worker has told of it, or nobody."""
        if dispatch is not None:
            return dispatch.run.tenant if dispatch.run is not None else ""
        placement = self._attempts.decisions.get(task_id)
        return placement.tenant if placement is not None else ""

    def _weighed(self, signature: Signature) -> list[Candidate]:
        """Everyone in the run's queues as of now; the best of the first queue that has somebody free come first."""
        self._fleet.ask(signature)
        found = [
            verdict
            for queue in signature.queues
            for verdict in verdicts(self._fleet, signature, queue, self._placer.strategy(signature, queue))
        ]
        return sorted(found, key=lambda candidate: bool(candidate.rejected_because))

    def _recalled(self, placement: Placement) -> list[Candidate]:
        """Those who were weighed, as they were then."""
        signature, decision = placement.signature, placement.assigned.decision
        strategy, chosen = placement.choice.strategy, placement.choice.seat.station.worker
        weighed = placement.choice.weighed()
        return [
            Candidate(
                _one_of(kind.kind) if number else chosen,
                decision.queue,
                kind.active,
                kind.kind.concurrency,
                score=kind.score,
                merits=strategy.merits(signature, kind.kind),
                alike=kind.alike,
            )
            for number, kind in enumerate(weighed)
        ]


def _unknown(task_id: str) -> NotFound:
    return NotFound("task", task_id, message=f"the router holds no run of task {task_id}")


def _one_of(kind: Kind) -> Worker:
    return next((station.worker for station in kind.stations.values()), kind.worker)
