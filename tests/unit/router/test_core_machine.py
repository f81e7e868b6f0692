"""Any order of events: slots are never overbooked, never leak, and nothing waits that could run."""

import asyncio
from collections import Counter
from collections.abc import Awaitable
from dataclasses import replace

from devteam_router.dispatch import Stage
from devteam_router.domain import AttemptId, Availability, WorkerInstance, WorkerState
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.fakes.clock import FakeClock
from tests.fakes.router_actors import PlannerActor, WorkerActor
from tests.fakes.router_bench import RouterBench
from tests.fakes.router_samples import a_run, a_signature, a_worker

WORKERS = (
    a_worker("w1", queues={"a": 1}),
    a_worker("w2", queues={"a": 2, "b": 2}, concurrency=3),
    a_worker("w3", queues={"b": 1}),
)
SIGNATURES = (a_signature("a"), a_signature("b"), a_signature("b", "a"), a_signature("a", model="opus"))
TASKS = tuple(f"t{n}" for n in range(6))

IN_HAND = {Stage.ASSIGNED, Stage.RUNNING, Stage.UNCLAIMED}

any_task = st.sampled_from(TASKS)
any_worker = st.sampled_from([worker.id for worker in WORKERS])
some = st.integers(0, 3)


class RouterMachine(RuleBasedStateMachine):
    """One Router, three workers and six tasks."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.bench = RouterBench(FakeClock())
        self.workers = {worker.id: WorkerActor(self.bench, worker) for worker in WORKERS}
        self.planners: dict[str, PlannerActor] = {}
        # Workers bring these with them, whether there is room or not.
        self.adopted: set[AttemptId] = set()

    def go(self, action: Awaitable[None] | None = None) -> None:
        """Let an action and all that follows from it happen."""

        async def happen() -> None:
            if action is not None:
                await action
            await self.bench.settled()

        self.loop.run_until_complete(happen())
        for planner in self.planners.values():
            planner.listen()

    @initialize()
    def everyone_is_here(self) -> None:
        for worker in self.workers.values():
            self.bench.register(worker.worker)
            worker.attach()

    @rule(
        task_id=any_task,
        signature=st.sampled_from(SIGNATURES),
        priority=st.integers(1, 5),
        within=st.sampled_from([None, None, None, 0.0, 5.0]),
    )
    def dispatch(self, task_id: str, signature: object, priority: int, within: float | None) -> None:
        """A first attempt, or the next one, which fences the one before."""
        known = self.planners.get(task_id)
        attempt = known.run.id.number + 1 if known else 1
        run = a_run(task_id, attempt, priority=priority, schedule_within=within)
        if known:
            self.go(known.leave())
        planner = PlannerActor(self.bench, replace(run, signature=signature))  # type: ignore[arg-type]  # a Signature
        self.planners[task_id] = planner
        self.go(planner.call_router())

    @rule(task_id=any_task)
    def planner_calls_again(self, task_id: str) -> None:
        if planner := self.planners.get(task_id):
            self.go(planner.call_router())

    @rule(task_id=any_task)
    def planner_leaves(self, task_id: str) -> None:
        if planner := self.planners.get(task_id):
            self.go(planner.leave())

    @rule(task_id=any_task)
    def acknowledge(self, task_id: str) -> None:
        if planner := self.planners.get(task_id):
            planner.acknowledge()
            self.go()

    @rule(task_id=any_task)
    def cancel(self, task_id: str) -> None:
        if planner := self.planners.get(task_id):
            self.bench.core.planners.cancel(planner.run.id)
            self.go()

    @rule(worker_id=any_worker)
    def worker_listens(self, worker_id: str) -> None:
        self.workers[worker_id].listen()
        self.go()

    @rule(worker_id=any_worker)
    def worker_accepts(self, worker_id: str) -> None:
        self.workers[worker_id].listen()
        self.workers[worker_id].accept()
        self.go()

    @rule(worker_id=any_worker)
    def worker_rejects(self, worker_id: str) -> None:
        self.workers[worker_id].listen()
        self.workers[worker_id].reject()
        self.go()

    @rule(worker_id=any_worker, which=some, tokens=st.integers(1, 3))
    def model_speaks(self, worker_id: str, which: int, tokens: int) -> None:
        worker = self.workers[worker_id]
        running = [generation for generation in worker.hand.values() if not generation.ended]
        if which < len(running):
            worker.generate(running[which], tokens)
            self.go()

    @rule(worker_id=any_worker, which=some)
    def model_ends(self, worker_id: str, which: int) -> None:
        worker = self.workers[worker_id]
        running = [generation for generation in worker.hand.values() if not generation.ended]
        if which < len(running):
            worker.finish(running[which])
            self.go()

    @rule(worker_id=any_worker)
    def line_breaks(self, worker_id: str) -> None:
        self.workers[worker_id].hang_up()
        self.go()

    @rule(worker_id=any_worker)
    def worker_attaches(self, worker_id: str) -> None:
        """Again, perhaps while its old line is still open."""
        self.workers[worker_id].attach()
        self.go()

    @rule(worker_id=any_worker, line_breaks=st.booleans())
    def worker_starts_anew(self, worker_id: str, line_breaks: bool) -> None:
        actor = self.workers[worker_id]
        if line_breaks:
            actor.hang_up()
        instance = WorkerInstance(worker_id, f"i{int(actor.worker.instance.instance_id[1:]) + 1}")
        anew = self.workers[worker_id] = WorkerActor(self.bench, replace(actor.worker, instance=instance))
        self.bench.register(anew.worker)
        anew.attach()
        self.go()

    @rule(
        worker_id=any_worker,
        state=st.sampled_from(WorkerState),
        availability=st.sampled_from(Availability),
    )
    def registry_speaks(self, worker_id: str, state: WorkerState, availability: Availability) -> None:
        actor = self.workers[worker_id]
        actor.worker = replace(actor.worker, state=state, availability=availability)
        self.bench.register(actor.worker)
        self.go()

    @rule(seconds=st.sampled_from([0.5, 1.0, 4.0, 11.0, 61.0]))
    def time_passes(self, seconds: float) -> None:
        self.go(self.bench.advance(seconds))

    @precondition(lambda self: len(self.planners) > 2)
    @rule()
    def router_restarts(self) -> None:
        for planner in self.planners.values():
            self.go(planner.leave())
        self.bench.restart()
        for worker in self.workers.values():
            worker.end = None
            worker.offered.clear()
            self.bench.register(worker.worker)
        self.go()

    @invariant()
    def no_worker_is_overbooked(self) -> None:
        self.adopted |= {
            dispatch.id for dispatch in self.bench.core.attempts if (to := dispatch.assignment) and to.adopted
        }
        placed = [lease for lease in self.bench.core.leases if lease.id not in self.adopted and lease.occupies_slot]
        in_all = Counter(lease.worker.worker_id for lease in placed)
        in_queue = Counter((lease.worker.worker_id, lease.queue) for lease in placed)
        for worker in WORKERS:
            assert in_all[worker.id] <= worker.concurrency
            for name, queue in worker.queues.items():
                assert in_queue[worker.id, name] <= queue.concurrency

    @invariant()
    def every_lease_is_of_an_attempt_that_is_in_hand_or_abandoned(self) -> None:
        for lease in self.bench.core.leases:
            dispatch = self.bench.core.attempts.get(lease.id)
            in_hand = dispatch is not None and dispatch.stage in IN_HAND and dispatch.worker == lease.worker
            assert in_hand or self.bench.core.attempts.is_over(lease.id)

    @invariant()
    def every_attempt_in_hand_has_its_lease_and_every_waiting_one_its_place_in_line(self) -> None:
        core = self.bench.core
        for dispatch in core.attempts:
            lease = core.leases.of(dispatch.id)
            assert dispatch.stage not in IN_HAND or (lease and lease.worker == dispatch.worker)
            assert (core.lines.line_of(dispatch.id) is not None) == (dispatch.stage is Stage.WAITING)

    @invariant()
    def nothing_waits_while_there_is_a_slot_for_it_and_every_reason_is_true(self) -> None:
        matcher = self.bench.core.matcher
        for line in self.bench.core.lines.looking_at({"a", "b"}):
            head = line.head()
            assert head is not None
            examination = matcher.examine(line.signature, refusals=matcher._refusals.get(head.run.id, ()))
            assert not examination.eligible
            assert line.wait is not None
            assert line.wait.reason is examination.wait.reason

    def teardown(self) -> None:
        """Everyone does what is left to do; then nothing is left."""
        try:
            self._come_to_rest()
            assert self.bench.held == []
            assert list(self.bench.core.attempts) == []
            assert len(self.bench.core.lines) == 0
            assert not any(worker.hand for worker in self.workers.values())
        finally:
            left_over = self.loop.run_until_complete(self.bench.wind_down())
            self.loop.close()
        assert left_over == []

    def _come_to_rest(self) -> None:
        for worker in self.workers.values():
            worker.worker = replace(worker.worker, state=WorkerState.HEALTHY, availability=Availability.OPEN)
            self.bench.register(worker.worker)
            worker.attach()
        for planner in self.planners.values():
            self.go(planner.call_router())
        for _ in range(len(TASKS) + 2):
            self._work_off()
        # For those that no planner has asked for again.
        self.go(self.bench.advance(61))
        self._work_off()
        for planner in self.planners.values():
            assert planner.outcome is not None or (planner.call and planner.call.error)

    def _work_off(self) -> None:
        for worker in self.workers.values():
            worker.listen()
            while worker.offered:
                worker.accept()
            for generation in list(worker.hand.values()):
                if not generation.ended:
                    worker.finish(generation)
            worker.listen()
            self.go()
        for planner in self.planners.values():
            planner.acknowledge()
        self.go(self.bench.advance(1))


RouterMachine.TestCase.settings = settings(
    max_examples=200,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)


class TestRouterMachine(RouterMachine.TestCase):  # type: ignore[misc, valid-type]  # made by hypothesis at run time
    """Runs the machine."""
