"""A second opinion on placement: counted from what the test itself told the Router, by looking at everyone."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from itertools import count

from devteam_router.choices import Choice
from devteam_router.domain import AttemptId, Decision, Run, Signature, StrategyName, Wait, Worker
from devteam_router.filters import serves_model, unavailable, unmet
from devteam_router.ports import Placed
from devteam_router.routing import ModelLimit
from devteam_router.service import RouterCore

# Timers of gates may be so late, in seconds.
LATE = 0.02


@dataclass(slots=True)
class Elsewhere:
    """A worker's slots that other Routers took."""

    total: int = 0
    by_queue: dict[str, int] = field(default_factory=dict)


# A worker and a queue.
Given = tuple[str, str]
NOTHING = ("", "")


class Oracle:
    """Knows the workers and the gates as they were told, and the runs as they were placed."""

    def __init__(self, core: RouterCore, now: Callable[[], float]) -> None:
        self.core = core
        self.now = now
        self.workers: dict[str, Worker] = {}
        self.elsewhere: dict[str, Elsewhere] = {}
        self.throttled: dict[str, float] = {}
        self.starts: dict[ModelLimit, list[float]] = {}
        # When a worker was last given something out of a queue.
        self.turns: dict[tuple[str, str], int] = {}
        self._turn = count(1)

    def active(self, worker_id: str, queue: str | None = None) -> int:
        """Slots taken, over all queues or in one."""
        leases = [lease for lease in self.core.leases if lease.worker.worker_id == worker_id and lease.occupies_slot]
        others = self.elsewhere.get(worker_id, Elsewhere())
        if queue is None:
            return len(leases) + others.total
        return sum(lease.queue == queue for lease in leases) + others.by_queue.get(queue, 0)

    def open(self, worker: Worker) -> bool:
        """Whether it takes work now."""
        return self.available(worker) and worker.id not in self.core.fleet._resting

    def available(self, worker: Worker) -> bool:
        """Whether it takes work, or will in a moment because it only refused something."""
        return not unavailable(worker, connected=self.core.links.connected(worker.instance))

    def could(self, worker: Worker, queue: str, signature: Signature, tenant: str) -> bool:
        """Whether it could ever run what is that tenant's out of that queue."""
        served = worker.queues.get(queue)
        if worker.tenant and worker.tenant != tenant:
            return False
        return served is not None and serves_model(served, signature.model) and not unmet(worker, signature)

    def free(self, worker: Worker, queue: str, given: Given = NOTHING) -> bool:
        """Whether it had a free slot, before something was `given` just now."""
        limit = min(worker.queues[queue].concurrency, worker.concurrency)
        in_queue = self.active(worker.id, queue) - (given == (worker.id, queue))
        return in_queue < limit and self.active(worker.id) - (given[0] == worker.id) < worker.concurrency

    def vacant(self, worker: Worker, queue: str) -> int:
        """How many more runs it could be given out of a queue."""
        in_queue = min(worker.queues[queue].concurrency, worker.concurrency) - self.active(worker.id, queue)
        return max(0, min(in_queue, worker.concurrency - self.active(worker.id)))

    def candidates(self, signature: Signature, queue: str, tenant: str, given: Given = NOTHING) -> list[Worker]:
        """Everyone who could be given it, before something was `given` just now."""
        return [
            worker
            for worker in self.workers.values()
            if self.could(worker, queue, signature, tenant)
            and self.open(worker)
            and self.free(worker, queue, given)
            and not self._refuses(worker, signature)
        ]

    def distance(self, worker: Worker, source: str) -> int:
        """How far a worker is from the nearest that has the data."""
        holders = [holder for holder in self.workers.values() if source in holder.data_sources]
        here = worker.location
        tiers = (
            source in worker.data_sources,
            any(here.host and holder.location.host == here.host for holder in holders),
            any(
                here.zone and (holder.location.region, holder.location.zone) == (here.region, here.zone)
                for holder in holders
            ),
            any(here.region and holder.location.region == here.region for holder in holders),
        )
        return next((tier for tier, near in enumerate(tiers) if near), len(tiers))

    def worth(self, worker: Worker, signature: Signature, queue: str, *, but: int = 0) -> tuple[float, ...]:
        """What the strategy makes of a worker; lower is better."""
        load = round((self.active(worker.id) - but + 1) / (worker.concurrency * worker.weight), 9)
        match self._strategy(signature, queue):
            case StrategyName.ROUND_ROBIN:
                return (self.turns.get((worker.id, queue), 0),)
            case StrategyName.CAPABILITY_MATCH:
                return (*_fit(worker, signature), load)
            case StrategyName.LOCALITY if signature.near_data_source:
                return self.distance(worker, signature.near_data_source), load
            case _:
                return (load,)

    def patient(self, signature: Signature, queue: str, tenant: str, since: float) -> bool:
        """Whether a run that waits since then should wait on for somebody nearer than all who are free."""
        source = signature.near_data_source
        if self._strategy(signature, queue) is not StrategyName.LOCALITY or not source:
            return False
        if self.now() - since >= self.core.routing.locality_wait(queue) - LATE:
            return False
        everyone = [w for w in self.workers.values() if self.could(w, queue, signature, tenant) and self.available(w)]
        nearest = min((self.distance(worker, source) for worker in everyone), default=4)
        return all(self.distance(worker, source) > nearest for worker in self.candidates(signature, queue, tenant))

    def gated(self, signature: Signature, queue: str, *, late: float = 0.0) -> bool:
        """Whether a pause, a throttle or a limit keeps it from starting out of that queue."""
        if self.core.routing.paused(queue) or self.throttled.get(signature.model, 0.0) > self.now() - late:
            return True
        return any(not self._conforms(limit, self.now() - late) for limit in self._limits(signature.model, queue))

    def started(self, worker_id: str, queue: str, model: str) -> None:
        """Take note of a start."""
        self.turns[worker_id, queue] = next(self._turn)
        for limit in self._limits(model, queue):
            self.starts.setdefault(limit, []).append(self.now())
        worker = self.workers[worker_id]
        if model in worker.local_models:
            self.workers[worker_id] = replace(worker, resident_models=worker.resident_models | {model})

    def _strategy(self, signature: Signature, queue: str) -> StrategyName:
        return signature.strategy or self.core.routing.strategy(queue)

    def _refuses(self, worker: Worker, signature: Signature) -> bool:
        station = self.core.fleet.station(worker.id)
        return station is not None and signature in station.refuses

    def _limits(self, model: str, queue: str) -> Iterator[ModelLimit]:
        for limit in self.core.routing.wishes.limits:
            if limit.queue in {"", queue} and fnmatchcase(model, limit.model):
                yield limit

    def _conforms(self, limit: ModelLimit, moment: float) -> bool:
        """Within no window, from any start until now, more than the limit allows and what may come at once."""
        per_second = limit.starts_per_minute / 60
        at_once = max(1.0, per_second)
        starts = self.starts.get(limit, [])
        return all(
            len(starts) - n + 1 <= at_once + (moment - start) * per_second + 1e-3 for n, start in enumerate(starts)
        )


class Witness:
    """Stands between matcher and attempts, and objects to any placement that is wrong."""

    def __init__(self, oracle: Oracle, told: Placed) -> None:
        self._oracle = oracle
        self._told = told
        # The order in which runs came, newer ones higher; those that came back are before all others.
        self._order: dict[AttemptId, int] = {}
        self._arrivals, self._returns = count(1), count(-1, -1)
        self._placed: set[AttemptId] = set()
        self.assignments: Counter[str] = Counter()

    def comes(self, run: Run) -> None:
        """A run is about to be submitted."""
        self._order[run.id] = next(self._arrivals)

    def shed(self, attempt: AttemptId, now: float) -> bool:
        return self._told.shed(attempt, now)

    def refiled(self, run: Run) -> None:
        self._told.refiled(run)

    def waiting(self, attempt: AttemptId, wait: Wait, queue: str) -> None:
        self._comes_back(attempt)
        self._told.waiting(attempt, wait, queue)

    def assigned(self, run: Run, decision: Decision, choice: Choice) -> None:
        worker_id, queue = choice.seat.station.worker.id, decision.queue
        self._comes_back(run.id)
        self._may_run(run, worker_id, queue)
        self._is_the_best(run, worker_id, queue)
        self._nobody_was_due_before(run, (worker_id, queue))
        self._oracle.started(worker_id, queue, run.signature.model)
        self._placed.add(run.id)
        self.assignments[worker_id] += 1
        self._told.assigned(run, decision, choice)

    def _comes_back(self, attempt: AttemptId) -> None:
        """If it was placed before, it goes before all others that are like it."""
        if attempt in self._placed:
            self._placed.discard(attempt)
            self._order[attempt] = next(self._returns)

    def _may_run(self, run: Run, worker_id: str, queue: str) -> None:
        oracle, worker = self._oracle, self._oracle.workers[worker_id]
        assert queue in run.signature.queues
        assert oracle.could(worker, queue, run.signature, run.tenant), f"{worker_id} cannot run {run}"
        assert oracle.open(worker), f"{worker_id} takes no work"
        assert oracle.free(worker, queue, (worker_id, queue)), f"{worker_id} has no slot"
        assert not oracle.gated(run.signature, queue), f"{run} is held back"

    def _is_the_best(self, run: Run, worker_id: str, queue: str) -> None:
        """In the first queue that has anybody else, the least by a look at everyone.

        A slot that comes free is of several queues of its worker, and in each another run may be due.
        """
        oracle, signature, given = self._oracle, run.signature, (worker_id, queue)
        for earlier in signature.queues[: signature.queues.index(queue)]:
            others = [
                worker for worker in oracle.candidates(signature, earlier, run.tenant, given) if worker.id != worker_id
            ]
            assert not others or oracle.gated(signature, earlier, late=LATE) or signature.near_data_source
        everyone = oracle.candidates(signature, queue, run.tenant, given)
        worth = {worker.id: oracle.worth(worker, signature, queue, but=worker.id == worker_id) for worker in everyone}
        assert worth[worker_id] == min(worth.values()), f"{worker_id} is not the best of {worth}"

    def _nobody_was_due_before(self, run: Run, given: Given) -> None:
        """Neither among its equals, nor anybody more urgent who could have had this very slot."""
        oracle, worker = self._oracle, self._oracle.workers[given[0]]
        for line in oracle.core.lines:
            head = line.head()
            if head is None or head.run.id == run.id:
                continue
            if (line.signature, line.priority, line.tenant) == (run.signature, run.priority, run.tenant):
                assert all(self._order[run.id] <= self._order[other.run.id] for other in line)
            elif line.priority < run.priority:
                could = [
                    queue
                    for queue in line.signature.queues
                    if worker in oracle.candidates(line.signature, queue, line.tenant, given)
                    and not oracle.gated(line.signature, queue, late=LATE)
                    and not line.signature.near_data_source
                ]
                assert not could, f"{head.run} is more urgent than {run}"


def _fit(worker: Worker, signature: Signature) -> tuple[float, ...]:
    models = {model for queue in worker.queues.values() for model in queue.models}
    everything = any(not queue.models for queue in worker.queues.values())
    breadth = float("inf") if everything else sum(100 if "*" in model else 1 for model in models)
    wants = signature.requirements
    wasted = worker.resources.gpu and not (wants.gpu or wants.gpu_model)
    cold, absent = signature.model not in worker.resident_models, signature.model not in worker.local_models
    return cold, absent, wasted, breadth, worker.resources.ram_gb
