"""Fleets and loads of any kind, in any order, with a second opinion on every placement."""

from dataclasses import replace
from itertools import count
from random import Random

from devteam_router.dispatch import Reported, Stage
from devteam_router.domain import (
    Availability,
    Location,
    Requirements,
    Resources,
    Signature,
    StrategyName,
    Worker,
    WorkerQueue,
)
from devteam_router.frames import RejectReason
from devteam_router.graces import Graces
from devteam_router.leases import Lease
from devteam_router.link import Link
from devteam_router.ports import RoutingChanged, WorkerChanged, WorkerRemoved
from devteam_router.routing import ModelLimit, Policy, QueuePolicy, Wishes
from devteam_router.service import RouterCore
from devteam_router.worker_side import InHand, Occupied
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.fakes.clock import FakeClock
from tests.fakes.router_bench import left_over
from tests.fakes.router_oracle import LATE, Elsewhere, Oracle, Witness
from tests.fakes.router_samples import a_run, a_signature, a_worker

QUEUES = ("a", "b")
MODELS = ("haiku", "opus")
SSD = Requirements(labels=(("disk", "ssd"),))

workers = st.builds(
    lambda number, queues, **rest: a_worker(f"w{number}", queues={queue.name: queue for queue in queues}, **rest),
    st.integers(0, 5),
    st.lists(
        st.builds(
            WorkerQueue, st.sampled_from(QUEUES), st.integers(1, 3), st.sampled_from([(), (), ("haiku",), ("o*",)])
        ),
        min_size=1,
        max_size=2,
        unique_by=lambda queue: queue.name,
    ),
    concurrency=st.sampled_from([None, None, 1, 2]),
    weight=st.sampled_from([1.0, 1.0, 2.0, 0.5]),
    labels=st.sampled_from([{}, {"disk": "ssd"}, {"disk": "hdd"}]),
    resources=st.sampled_from([Resources(), Resources(gpu=True, ram_gb=24.0), Resources(ram_gb=64.0)]),
    location=st.sampled_from(
        [Location(), Location("eu", "eu-1", "h1"), Location("eu", "eu-1"), Location("eu", "eu-2")]
    ),
    data_sources=st.sampled_from([frozenset(), frozenset(), frozenset({"papers"})]),
    local_models=st.sampled_from([frozenset(), frozenset({"haiku"})]),
    tenant=st.sampled_from(["", "", "", "x", "y"]),
)
signatures = st.builds(
    lambda queues, model, **rest: a_signature(*queues, model=model, **rest),
    st.sampled_from([("a",), ("b",), ("a", "b"), ("b", "a")]),
    st.sampled_from(MODELS),
    requirements=st.sampled_from([Requirements(), Requirements(), SSD, Requirements(data_sources=("papers",))]),
    strategy=st.sampled_from([None, None, *StrategyName]),
    near_data_source=st.sampled_from(["", "", "papers"]),
)
wishes = st.builds(
    Wishes,
    strategy=st.sampled_from([None, *StrategyName]),
    locality_wait=st.sampled_from([None, 0.0, 10.0]),
    queues=st.dictionaries(st.sampled_from(QUEUES), st.builds(QueuePolicy, paused=st.booleans()), max_size=1),
    limits=st.sampled_from([(), (), (ModelLimit("haiku", "", 6.0),), (ModelLimit("*", "a", 120.0),)]),
)
some = st.integers(0, 11)


class PlacementMachine(RuleBasedStateMachine):
    """One Router, up to six workers of any kind, and as many runs as there are. `played` counts the games."""

    played = 0

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.core = RouterCore(Policy(), Graces(), self.clock, Random(7), "router-1")
        self.oracle = Oracle(self.core, self.clock.monotonic)
        self.witness = Witness(self.oracle, self.core.attempts)
        self.core.matcher._placed = self.witness
        self.lines: dict[str, Link] = {}
        self.tasks = count(1)

    @rule(signature=signatures, priority=st.integers(1, 5), tenant=st.sampled_from("xyz"), runs=st.integers(1, 3))
    def runs_come(self, signature: Signature, priority: int, tenant: str, runs: int) -> None:
        for _ in range(runs):
            run = a_run(f"t{next(self.tasks)}", signature=signature, priority=priority, tenant=tenant)
            self.witness.comes(run)
            self.core.attempts.open(run.id, run, Stage.WAITING)
            self.core.matcher.submit(run)

    @rule(which=some)
    def a_run_is_cancelled(self, which: int) -> None:
        waiting = [item for line in self.core.lines for item in line]
        if waiting:
            self.core.planners.cancel(waiting[which % len(waiting)].run.id)
            self._forget_what_is_over()

    @rule(which=some)
    def a_run_ends(self, which: int) -> None:
        if lease := self._on_the_line(which):
            self.core.workers.report(self.lines[lease.worker.worker_id], lease.id, Reported(0, "report"))
            self.core.planners.acknowledge(lease.id, 0, report=True)

    @rule(which=some, reason=st.sampled_from(RejectReason))
    def a_run_is_rejected(self, which: int, reason: RejectReason) -> None:
        if lease := self._on_the_line(which):
            self.core.workers.rejected(self.lines[lease.worker.worker_id], lease.id, "no", reason)

    @rule(worker=workers)
    def a_worker_comes_or_changes(self, worker: Worker) -> None:
        self._registers(worker)
        if worker.id not in self.lines:
            self._attaches(worker)

    @rule(which=some, availability=st.sampled_from(Availability))
    def operators_want_it_open_or_closed(self, which: int, availability: Availability) -> None:
        if worker := self._known(which):
            self._registers(replace(worker, availability=availability))

    @rule(which=some, concurrency=st.integers(1, 4))
    def operators_want_more_or_less_of_it(self, which: int, concurrency: int) -> None:
        if worker := self._known(which):
            self._registers(replace(worker, concurrency=concurrency))

    @rule(which=some)
    def a_worker_is_gone(self, which: int) -> None:
        if worker := self._known(which):
            del self.oracle.workers[worker.id]
            self.oracle.elsewhere.pop(worker.id, None)
            for key in [key for key in self.oracle.turns if key[0] == worker.id]:
                del self.oracle.turns[key]
            self.core.hear(WorkerRemoved(worker.id))
            self.lines.pop(worker.id, None)
            self._forget_what_is_over()

    @rule(which=some)
    def a_line_breaks_or_comes_back(self, which: int) -> None:
        worker = self._known(which)
        if worker is not None and (link := self.lines.pop(worker.id, None)) is not None:
            self.core.workers.detach(link)
        elif worker is not None:
            self._attaches(worker)
        self._forget_what_is_over()

    @rule(which=some, in_a=st.integers(0, 2), in_b=st.integers(0, 2))
    def other_routers_take_slots(self, which: int, in_a: int, in_b: int) -> None:
        worker = self._known(which)
        if worker is not None and worker.id in self.lines:
            slots = {queue: taken for queue, taken in (("a", in_a), ("b", in_b)) if queue in worker.queues}
            self.oracle.elsewhere[worker.id] = Elsewhere(sum(slots.values()), slots)
            self.core.workers.occupied(self.lines[worker.id], Occupied(sum(slots.values()), slots))

    @rule(model=st.sampled_from(MODELS), seconds=st.sampled_from([1.0, 5.0, 20.0]))
    def a_provider_is_impatient(self, model: str, seconds: float) -> None:
        until = self.clock.monotonic() + seconds
        self.oracle.throttled[model] = max(self.oracle.throttled.get(model, 0.0), until)
        self.core.matcher.throttle(model, seconds, "429")

    @rule(wishes=wishes)
    def operators_wish(self, wishes: Wishes) -> None:
        self.oracle.starts = {limit: starts for limit, starts in self.oracle.starts.items() if limit in wishes.limits}
        self.core.hear(RoutingChanged(wishes))

    @rule(seconds=st.sampled_from([0.5, 1.0, 3.0, 10.0, 11.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self._forget_what_is_over()

    @invariant()
    def nothing_waits_that_could_run(self) -> None:
        for line in self.core.lines:
            head = line.head()
            assert head is not None
            for queue in line.signature.queues:
                if self.oracle.gated(line.signature, queue, late=LATE):
                    continue
                could = [worker.id for worker in self.oracle.candidates(line.signature, queue, line.tenant)]
                assert not could or self.oracle.patient(line.signature, queue, line.tenant, head.since), (
                    f"{head.run}: {could}"
                )

    @invariant()
    def the_index_of_every_queue_agrees_with_a_count(self) -> None:
        for queue in QUEUES:
            rows = [row for _, row in self.core.fleet.rows(queue).entries if row.awake]
            free = [w for w in self.oracle.workers.values() if queue in w.queues and self.oracle.open(w)]
            count_of_free = sum(self.oracle.free(worker, queue) for worker in free)
            assert not rows or sum(row.free for row in rows) == count_of_free
            vacant = sum(row.vacant for _, row in self.core.fleet.rows(queue).entries)
            assert vacant == sum(self.oracle.vacant(worker, queue) for worker in free)

    def teardown(self) -> None:
        """With every slot freed again and again, all that can run is placed in the end, and nothing is left."""
        self.core.hear(RoutingChanged(Wishes()))
        for worker in list(self.oracle.workers.values()):
            self.oracle.elsewhere.pop(worker.id, None)
            if link := self.lines.pop(worker.id, None):
                self.core.workers.detach(link)
            self._registers(replace(worker, availability=Availability.OPEN))
            self._attaches(worker)
        self.clock.advance(25)
        self._cancel_what_nobody_can_run()
        while len(self.core.lines):
            assert len(self.core.leases), f"{len(self.core.lines)} runs starve"
            for lease in list(self.core.leases):
                self.core.workers.report(self.lines[lease.worker.worker_id], lease.id, Reported(0, "report"))
                self.core.planners.acknowledge(lease.id, 0, report=True)
        for worker_id in list(self.oracle.workers):
            del self.oracle.workers[worker_id]
            self.core.hear(WorkerRemoved(worker_id))
        self._forget_what_is_over()
        self.clock.advance(61)
        assert left_over(self.core, self.clock) == []
        type(self).played += 1

    def _registers(self, worker: Worker) -> None:
        for queue in set(QUEUES) - worker.queues.keys():
            self.oracle.turns.pop((worker.id, queue), None)
            if worker.id in self.oracle.elsewhere:
                self.oracle.elsewhere[worker.id].by_queue.pop(queue, None)
        self.oracle.workers[worker.id] = worker
        self.core.hear(WorkerChanged(worker))
        self._forget_what_is_over()

    def _attaches(self, worker: Worker) -> None:
        in_hand = [InHand(lease.id, lease.queue, ended=False) for lease in self.core.leases.held_by(worker.instance)]
        self.oracle.elsewhere.pop(worker.id, None)
        self.lines[worker.id] = self.core.workers.attach(worker.instance, in_hand)

    def _known(self, which: int) -> Worker | None:
        known = list(self.oracle.workers.values())
        return known[which % len(known)] if known else None

    def _on_the_line(self, which: int) -> Lease | None:
        leases = [lease for lease in self.core.leases if lease.worker.worker_id in self.lines]
        return leases[which % len(leases)] if leases else None

    def _cancel_what_nobody_can_run(self) -> None:
        for item in [item for line in self.core.lines for item in line]:
            signature = item.run.signature
            if not any(
                self.oracle.could(worker, queue, signature, item.run.tenant)
                for worker in self.oracle.workers.values()
                for queue in signature.queues
            ):
                self.core.planners.cancel(item.run.id)

    def _forget_what_is_over(self) -> None:
        for dispatch in self.core.attempts:
            if dispatch.stage is Stage.ENDED:
                self.core.attempts.forget(dispatch, stored=False)
