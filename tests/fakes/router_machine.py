"""A Router with everyone around it, and rules that let anything happen to them in any order."""

import asyncio
from collections import Counter
from collections.abc import Awaitable
from dataclasses import replace

from devteam_router.dispatch import Stage, Waits
from devteam_router.domain import AttemptId, Availability, Run, Signature, WorkerInstance, WorkerState
from devteam_router.ports import WorkerRemoved
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
# Tasks that no planner here knows.
STRANGERS = tuple(f"x{n}" for n in range(2))

IN_HAND = {Stage.ASSIGNED, Stage.RUNNING, Stage.UNCLAIMED}

any_task = st.sampled_from(TASKS)
any_worker = st.sampled_from([worker.id for worker in WORKERS])
some = st.integers(0, 3)


class RouterMachine(RuleBasedStateMachine):
    """One Router, three workers and six tasks. `played` counts the games that came to their end."""

    played = 0

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.bench = RouterBench(FakeClock())
        self.workers = {worker.id: WorkerActor(self.bench, worker) for worker in WORKERS}
        self.planners: dict[str, PlannerActor] = {}
        # Runs that newer attempts of their tasks took the place of.
        self.fenced: dict[str, Run] = {}
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
        leaves=st.booleans(),
    )
    def dispatch(
        self, task_id: str, signature: Signature, priority: int, within: float | None, *, leaves: bool
    ) -> None:
        """A first attempt, or the next one, which fences the one before: nothing more is heard of that."""
        known = self.planners.get(task_id)
        if known is not None:
            self.fenced[task_id] = known.run
            if leaves:
                self.go(known.leave())
        number = known.run.id.number + 1 if known else 1
        run = a_run(task_id, number, signature=signature, priority=priority, schedule_within=within)
        planner = self.planners[task_id] = PlannerActor(self.bench, run)
        told = known.told if known else 0
        self.go(planner.call_router())
        if known is not None and known.call is not None:
            assert known.call.over
            assert known.told == told

    @rule(task_id=any_task)
    def fenced_planner_calls_again(self, task_id: str) -> None:
        """It hears nothing, as long as the Router holds a newer attempt."""
        run, newest = self.fenced.get(task_id), self.bench.core.attempts.newest_of(task_id)
        if run is not None and newest is not None and newest.id.number > run.id.number:
            stale = PlannerActor(self.bench, run)
            self.go(stale.call_router())
            assert stale.call is not None
            assert stale.call.error is not None
            assert stale.call.error.reason == "STALE_ATTEMPT"
            assert stale.told == 0

    @rule(task_id=any_task, leaves=st.booleans())
    def planner_calls_again(self, task_id: str, *, leaves: bool) -> None:
        """After it broke its call, or while that is still open: then the new call takes over."""
        if planner := self.planners.get(task_id):
            before = planner.call
            self.go(planner.call_router(leaves=leaves))
            assert before is None or before is planner.call or before.over

    @rule(task_id=any_task)
    def planner_goes_deaf(self, task_id: str) -> None:
        """Until it calls again: then it knows less than the Router told it, perhaps not even to whom the run went."""
        if planner := self.planners.get(task_id):
            planner.deaf = True

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

    @rule(worker_id=any_worker, crosses=st.booleans())
    def worker_rejects(self, worker_id: str, *, crosses: bool) -> None:
        """Perhaps while what the Router has said since is still on its way."""
        if not crosses:
            self.workers[worker_id].listen()
        self.workers[worker_id].reject()
        self.go()

    @rule(worker_id=any_worker)
    def worker_lets_another_router_have_one(self, worker_id: str) -> None:
        """With the Planner, which has left this one; perhaps while what that has said since is still on its way."""
        worker = self.workers[worker_id]
        running = [generation for generation in worker.hand.values() if not generation.ended]
        if left := [generation for generation in running if not self._is_followed(generation.id)]:
            worker.release(left[0])
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

    @rule(worker_id=any_worker, forgets=st.booleans())
    def worker_attaches(self, worker_id: str, *, forgets: bool) -> None:
        """Again, perhaps while its old line is still open, and perhaps without something that it had."""
        worker = self.workers[worker_id]
        if forgets and worker.hand:
            del worker.hand[next(iter(worker.hand))]
        self._attach(worker)

    @rule(
        worker_id=any_worker,
        task_id=st.sampled_from(TASKS + STRANGERS),
        newer=st.sampled_from([-1, 0, 0, 1]),
        queue=st.sampled_from(["a", "b"]),
    )
    def worker_brings_more(self, worker_id: str, task_id: str, newer: int, queue: str) -> None:
        """It attaches with something that it was not given, as far as anybody here knows."""
        planner = self.planners.get(task_id)
        number = (planner.run.id.number if planner else 1) + newer
        if number > 0 and (newer or planner is None or planner.unplaced):
            worker = self.workers[worker_id]
            worker.claim(AttemptId(task_id, number), queue)
            self._attach(worker)

    @rule(worker_id=any_worker, line_breaks=st.booleans())
    def worker_starts_anew(self, worker_id: str, *, line_breaks: bool) -> None:
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

    @rule(worker_id=any_worker, notices=st.booleans())
    def registry_removes(self, worker_id: str, *, notices: bool) -> None:
        """The worker is off the list until it registers again; it may speak on before it notices."""
        self.bench.core.hear(WorkerRemoved(worker_id))
        if notices:
            self.workers[worker_id].hang_up()
        self.go()

    @rule(seconds=st.sampled_from([0.5, 1.0, 4.0, 11.0, 61.0]))
    def time_passes(self, seconds: float) -> None:
        self.go(self.bench.advance(seconds))

    @precondition(lambda self: len(self.planners) > 2)
    @rule()
    def router_restarts(self) -> None:
        """Nobody's call survives it, and nothing that the Router knew."""
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
    def nobody_keeps_a_slot_for_what_it_will_never_speak_of(self) -> None:
        for lease in self.bench.core.leases:
            worker = self.workers[lease.worker.worker_id]
            abandoned = self.bench.core.attempts.get(lease.id) is None
            assert not abandoned or worker.end is None or worker.will_speak_of(lease.id)

    @invariant()
    def every_attempt_in_hand_has_its_lease_and_every_waiting_one_its_place_in_line(self) -> None:
        core = self.bench.core
        for dispatch in core.attempts:
            lease = core.leases.of(dispatch.id)
            assert dispatch.stage not in IN_HAND or (lease and lease.worker == dispatch.worker)
            assert (core.lines.line_of(dispatch.id) is not None) == (dispatch.stage is Stage.WAITING)

    @invariant()
    def nothing_waits_while_there_is_a_slot_for_it_and_every_reason_is_true(self) -> None:
        core, now = self.bench.core, self.bench.clock.monotonic()
        for line in core.lines.looking_at({"a", "b"}):
            assert line.head() is not None
            # As people are told it, which looks at every worker and not at an index.
            explanation = core.explainer.dry_run(line.signature, now)
            assert all(candidate.rejected_because for candidate in explanation.candidates)
            assert isinstance(explanation.standing, Waits)
            assert line.wait is not None
            assert line.wait.reason is explanation.standing.wait.reason

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
        type(self).played += 1

    def _is_followed(self, attempt: AttemptId) -> bool:
        planner = self.planners.get(attempt.task_id)
        return planner is not None and planner.run.id == attempt and planner.call is not None

    def _attach(self, worker: WorkerActor) -> None:
        """Whom the Registry does not know is not admitted: it registers first."""
        if self.bench.core.fleet.get(worker.worker.id) is None:
            self.bench.register(worker.worker)
        worker.attach()
        self.go()

    def _come_to_rest(self) -> None:
        for worker in self.workers.values():
            worker.worker = replace(worker.worker, state=WorkerState.HEALTHY, availability=Availability.OPEN)
            self.bench.register(worker.worker)
            worker.attach()
        for planner in self.planners.values():
            self.go(planner.call_router())
        self._work_off()
        # For those that no planner has asked for again.
        self.go(self.bench.advance(61))
        self._work_off()
        for planner in self.planners.values():
            assert planner.outcome is not None or (planner.call and planner.call.error)

    def _work_off(self) -> None:
        for _ in range(2 * len(TASKS)):
            for worker in self.workers.values():
                self._do_all(worker)
            self.go()
            for planner in self.planners.values():
                planner.acknowledge()
            self.go(self.bench.advance(1))
            if self._at_rest():
                break

    def _at_rest(self) -> bool:
        in_hand = any(worker.hand for worker in self.workers.values())
        return not (in_hand or self.bench.held or len(self.bench.core.lines))

    def _do_all(self, worker: WorkerActor) -> None:
        worker.listen()
        while worker.offered:
            worker.accept()
        for generation in list(worker.hand.values()):
            if not generation.ended:
                worker.finish(generation)
        worker.listen()
