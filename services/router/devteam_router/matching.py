"""The one place where a waiting run meets a free slot."""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from random import Random

from devteam.mesh.clock import Clock
from devteam_router.domain import (
    AttemptId,
    Candidate,
    Decision,
    Run,
    Signature,
    StrategyName,
    WaitReason,
    Worker,
)
from devteam_router.fleet import Fleet, serves_model, unavailable, unmet
from devteam_router.frames import Assign
from devteam_router.leases import Lease, Leases
from devteam_router.lines import Line, Lines, Wait, Waiting
from devteam_router.ports import Lineup, Placed
from devteam_router.strategies.base import Strategy

# In the order of the filters: the furthest that any worker came tells what is missing.
_FILTERS = (
    WaitReason.NO_WORKER_IN_QUEUE,
    WaitReason.NO_WORKER_SERVES_MODEL,
    WaitReason.NO_WORKER_MEETS_REQUIREMENTS,
    WaitReason.NO_WORKER_AVAILABLE,
    WaitReason.ALL_SLOTS_BUSY,
)


@dataclass(frozen=True, slots=True)
class Examination:
    """Every worker of a run's queues, as it was weighed: who could take it, and what removed the others."""

    eligible: Sequence[Candidate]
    rejected: Sequence[Candidate]
    wait: Wait


class Matcher:
    """Places runs: filters workers, lets the strategy order them, charges the slot at the decision.

    Never waits between reading and changing state. A worker that refused a run is not asked again for it until
    `forgive` is called.
    """

    def __init__(
        self,
        fleet: Fleet,
        leases: Leases,
        lines: Lines,
        lineup: Lineup,
        placed: Placed,
        strategies: Mapping[StrategyName, Strategy],
        default: StrategyName,
        clock: Clock,
        random: Random,
    ) -> None:
        self._fleet = fleet
        self._leases = leases
        self._lines = lines
        self._lineup = lineup
        self._placed = placed
        self._strategies = strategies
        self._default = default
        self._clock = clock
        self._random = random
        self._refusals: dict[AttemptId, set[str]] = {}

    def submit(self, run: Run, *, first: bool = False) -> None:
        """Place a run now, or put it in line behind its equals (before them when it had its turn already)."""
        line = self._lines.add(run, self._clock.monotonic(), first=first)
        known = line.wait
        head = line.head()
        if head is not None and head.run is run:
            self._serve([line])
        # Whoever was in line has heard it already, and a new reason is told to the whole line.
        if known is not None and line.wait is known and self._lines.line_of(run.id) is line:
            self._placed.waiting(run.id, known, run.signature.queues[0])

    def withdraw(self, attempt: AttemptId) -> bool:
        """Take a run out of its line; False if it waits in none."""
        line = self._lines.line_of(attempt)
        removed = self._lines.remove(attempt)
        if self._refusals.pop(attempt, None) and line is not None:
            self._serve([line])  # those behind it were held up by what concerned it alone
        return removed is not None

    def refused(self, attempt: AttemptId, worker_id: str) -> None:
        """Do not offer this run to this worker for now."""
        self._refusals.setdefault(attempt, set()).add(worker_id)

    def forgive(self, attempt: AttemptId, worker_id: str) -> None:
        """Offer this run to this worker again."""
        refusals = self._refusals.get(attempt, set())
        refusals.discard(worker_id)
        if not refusals:
            self._refusals.pop(attempt, None)
        if line := self._lines.line_of(attempt):
            self._serve([line])

    def worker_changed(self, worker_id: str) -> None:
        """A worker has a free slot, or its line opened or broke: serve every line that it bears on."""
        if worker := self._fleet.get(worker_id):
            self.queues_changed(worker.queues.keys())

    def queues_changed(self, queues: AbstractSet[str]) -> None:
        """The workers of these queues are different: serve every line that looks at one of them."""
        self._serve(self._lines.looking_at(queues))

    def examine(self, signature: Signature, *, refusals: Iterable[str] = ()) -> Examination:
        """Weigh every worker of the run's queues, without changing anything."""
        rejected: list[Candidate] = []
        furthest = 0
        for queue in signature.queues:
            eligible: list[Candidate] = []
            for worker in self._fleet.serving(queue):
                stage, candidate = self._filtered(worker, queue, signature, refusals)
                furthest = max(furthest, stage)
                (rejected if candidate.rejected_because else eligible).append(candidate)
            if eligible:
                return Examination(eligible, rejected, Wait(WaitReason.ALL_SLOTS_BUSY, ""))
        reason = _FILTERS[furthest]
        return Examination((), rejected, Wait(reason, _sentence(reason, signature)))

    def ordered(self, signature: Signature, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Candidates with their scores, the best first; ties in random order."""
        strategy = self._strategy(signature)
        scored = [(strategy.score(signature, c), self._random.random(), c) for c in candidates]
        scored.sort(key=lambda entry: entry[:2])
        return [replace(candidate, score=score[0]) for score, _, candidate in scored]

    def _serve(self, lines: Iterable[Line]) -> None:
        """Place what can be placed, over all lines in the order in which it is due."""
        due = [(head, line) for line in lines if (head := line.head()) is not None]
        heapq.heapify(due)
        while due:
            head, line = heapq.heappop(due)
            if self._advanced(head, line) and (following := line.head()) is not None:
                heapq.heappush(due, (following, line))

    def _advanced(self, head: Waiting, line: Line) -> bool:
        """Place the head, or let it go if it is too late for that; False when it has to wait."""
        examination = self.examine(line.signature, refusals=self._refusals.get(head.run.id, ()))
        if not examination.eligible:
            self._hold(line, examination.wait)
            return False
        self._lines.remove(head.run.id)
        # Its timer may be due and not have fired yet: a loop that is behind must not hand out what nobody waits for.
        if self._placed.shed(head.run.id, self._clock.monotonic()):
            self._refusals.pop(head.run.id, None)
        else:
            self._assign(head.run, examination, head.since)
        return True

    def _hold(self, line: Line, wait: Wait) -> None:
        if line.wait is not None and line.wait.reason is wait.reason:
            return
        line.wait = wait
        for waiting in line:
            self._placed.waiting(waiting.run.id, wait, line.signature.queues[0])

    def _assign(self, run: Run, examination: Examination, since: float) -> None:
        strategy = self._strategy(run.signature)
        eligible = self.ordered(run.signature, examination.eligible)
        chosen = eligible[0]
        why = strategy.explain(run.signature, chosen, eligible)
        waited = self._clock.monotonic() - since
        self._leases.grant(Lease(run.id, chosen.worker.instance, chosen.queue))
        strategy.picked(run.signature, chosen)
        reason = f"placed on {chosen.worker.id} by {strategy.name} because {why}"
        decision = Decision(strategy.name, chosen.queue, reason, len(eligible), waited)
        self._placed.assigned(run, chosen.worker.instance, decision, [*eligible, *examination.rejected])
        self._lineup.send(chosen.worker.instance, Assign(run, chosen.queue))

    def _strategy(self, signature: Signature) -> Strategy:
        return self._strategies[signature.strategy or self._default]

    def _filtered(
        self, worker: Worker, queue: str, signature: Signature, refusals: Iterable[str]
    ) -> tuple[int, Candidate]:
        served = worker.queues[queue]
        active, total = self._leases.active_in(worker.id, queue), self._leases.active(worker.id)
        candidate = Candidate(worker, queue, active, min(served.concurrency, worker.concurrency))
        if not serves_model(served, signature.model):
            return 1, replace(candidate, rejected_because=f"does not serve {signature.model} in {queue}")
        if words := unmet(worker, signature):
            return 2, replace(candidate, rejected_because=words)
        if words := unavailable(worker, connected=self._lineup.connected(worker.instance)):
            return 3, replace(candidate, rejected_because=words)
        if active >= served.concurrency:
            return 4, replace(candidate, rejected_because=f"all {served.concurrency} slots of {queue} are busy")
        if total >= worker.concurrency:
            return 4, replace(candidate, rejected_because=f"all its {worker.concurrency} slots are busy")
        if worker.id in refusals:
            return 4, replace(candidate, rejected_because="refused it a moment ago")
        return 5, candidate


def _sentence(reason: WaitReason, signature: Signature) -> str:
    queues = " or ".join(signature.queues)
    match reason:
        case WaitReason.NO_WORKER_IN_QUEUE:
            return f"no worker serves {queues}; start one with: devteam-worker start --queue {signature.queues[0]}"
        case WaitReason.NO_WORKER_SERVES_MODEL:
            return f"no worker in {queues} serves the model {signature.model}"
        case WaitReason.NO_WORKER_MEETS_REQUIREMENTS:
            return f"no worker in {queues} that serves {signature.model} has what the task requires"
        case WaitReason.NO_WORKER_AVAILABLE:
            return f"every worker in {queues} that could run it is unhealthy, cordoned, draining or disconnected"
        case _:
            return f"every worker in {queues} that could run it is busy; it starts when a slot is free"
