"""What workers say to the Router."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from devteam.mesh.clock import Clock, Timer
from devteam.mesh.errors import NotFound
from devteam_router.admission import Admission
from devteam_router.attempts import Attempts
from devteam_router.attendance import Attendance
from devteam_router.dispatch import Dispatch, Reported, Stage, TokenBatch, WasLost
from devteam_router.domain import AttemptId, WorkerInstance, WorkerState
from devteam_router.drains import Drains
from devteam_router.fleet import Fleet
from devteam_router.frames import Attached, BeatAck, Cancel, CancelReason, RejectReason, Resume
from devteam_router.graces import Graces
from devteam_router.leases import Leases
from devteam_router.link import Link
from devteam_router.links import Links
from devteam_router.losses import Losses
from devteam_router.matching import Matcher
from devteam_router.peers import Peers, ThrottleWord
from devteam_router.refusals import Refusals

_log = structlog.get_logger()

# What one worker may have in hand, as the contract bounds it for those that attach.
_MOST_IN_HAND = 10_000


@dataclass(frozen=True, slots=True)
class Occupied:
    """A worker's slots that runs of other Routers take."""

    total: int = 0
    by_queue: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InHand:
    """An attempt that an attaching worker has in hand."""

    id: AttemptId
    queue: str
    ended: bool


class WorkerSide:
    """Attaches workers and takes in their words. Words about an attempt that is not theirs are refused and counted."""

    def __init__(
        self,
        fleet: Fleet,
        links: Links,
        leases: Leases,
        attempts: Attempts,
        matcher: Matcher,
        attendance: Attendance,
        peers: Peers,
        graces: Graces,
        clock: Clock,
        router_id: str,
    ) -> None:
        self._fleet = fleet
        self._links = links
        self._leases = leases
        self._attempts = attempts
        self._matcher = matcher
        self._attendance = attendance
        self._peers = peers
        self._graces = graces
        self._clock = clock
        self._router_id = router_id
        self._admission = Admission(fleet, graces.admission)
        self._refusals = Refusals(fleet, matcher, clock, graces.refusal)
        self._losses = Losses(attempts, leases, matcher, self._refusals, peers, clock)
        self._drains = Drains(clock)
        # Instances whose stream broke, and what gives them up.
        self._missing: dict[WorkerInstance, Timer] = {}
        self.refused_words = 0

    async def admit(self, worker: WorkerInstance, session_token: str, whose: str = "") -> None:
        """As Admission.admit."""
        await self._admission.admit(worker, session_token, whose)

    def attach(self, worker: WorkerInstance, in_hand: Sequence[InHand], occupied: Occupied | None = None) -> Link:
        """Open the line to an admitted worker and join what it has in hand with what is known here."""
        link = self._links.open(worker)
        try:
            self._attached(link, in_hand, occupied or Occupied())
        except BaseException:
            self._links.drop(link)  # a worker that is listed must have somebody who writes to it
            raise
        return link

    def _attached(self, link: Link, in_hand: Sequence[InHand], occupied: Occupied) -> None:
        worker = link.worker
        self._occupied(worker, occupied)
        if timer := self._missing.pop(worker, None):
            timer.cancel()
        self._greet(link)
        for item in in_hand:
            self._join(link, item)
        self._losses.all_but(worker, {item.id for item in in_hand})
        if drain := self._drains.word_for(worker.worker_id):
            link.send(drain)
        self._attendance.came(worker)
        _log.info("worker attached", worker_id=worker.worker_id, instance_id=worker.instance_id, in_hand=len(in_hand))
        self._matcher.worker_changed(worker.worker_id)

    def _greet(self, link: Link) -> None:
        graces, known = self._graces, self._fleet.get(link.worker.worker_id)
        link.slots = known.concurrency if known is not None else 0
        link.send(Attached(graces.beat, graces.beat_timeout, graces.window_bytes, self._router_id, link.slots))

    def detach(self, link: Link) -> None:
        """The stream is gone. The worker has `graces.link` seconds to come back before its attempts are lost."""
        if not self._links.drop(link):
            return
        _log.info("worker detached", worker_id=link.worker.worker_id, instance_id=link.worker.instance_id)
        self._attendance.went(link.worker)
        self._matcher.worker_changed(link.worker.worker_id)
        self._missing[link.worker] = self._clock.call_later(self._graces.link, lambda: self._gone(link.worker))

    def beat(self, link: Link, number: int) -> None:
        """The worker's loop turns."""
        link.send(BeatAck(number))

    def accepted(self, link: Link, attempt: AttemptId) -> None:
        """The worker has started."""
        dispatch = self._own(link, attempt)
        if dispatch is not None and dispatch.stage is Stage.ASSIGNED:
            self._attempts.started(dispatch)

    def occupied(self, link: Link, occupied: Occupied) -> None:
        """Other Routers' runs take that many of the worker's slots now."""
        self._occupied(link.worker, occupied)
        self._refusals.over(link.worker.worker_id)

    def offered(self, link: Link, in_hand: Sequence[InHand]) -> None:
        """These runs have lost their Router."""
        for item in in_hand:
            self._join(link, item)

    def released(self, link: Link, attempt: AttemptId) -> None:
        """The worker does not have the run, or another Router has taken it over with the Planner that follows it."""
        dispatch = self._attempts.owned_by(link.worker, attempt)
        if dispatch is None:
            self._stopped(link.worker, attempt)
        elif dispatch.stage is not Stage.RECONNECTING:
            self._attempts.hand_over(dispatch)
        elif dispatch.received:
            self._attempts.lose(dispatch, f"worker {link.worker.worker_id} does not have it")
        else:
            # Perhaps it refused it, and another one has it by now: the Router which knew that is gone.
            self._clock.call_later(self._graces.claim, lambda: self._still_unbegun(dispatch))

    def rejected(
        self, link: Link, attempt: AttemptId, message: str, reason: RejectReason = RejectReason.NOT_SERVED
    ) -> None:
        """The worker does not take the run: find another one. Burns no attempt."""
        dispatch = self._own(link, attempt)
        if dispatch is None:
            self._stopped(link.worker, attempt)
        elif dispatch.stage is Stage.ASSIGNED:
            _log.info("run rejected", worker_id=link.worker.worker_id, task_id=attempt.task_id, why=message)
            self._losses.elsewhere(dispatch, link.worker.worker_id, reason)
            self._matcher.slot_freed(link.worker.worker_id)

    def tokens(self, link: Link, attempt: AttemptId, batch: TokenBatch) -> None:
        """More tokens. What came before is ignored; a gap is asked for again."""
        dispatch = self._own(link, attempt)
        if dispatch is None or dispatch.stage in {Stage.UNCLAIMED, Stage.RECONNECTING}:
            return
        if dispatch.stage is Stage.ASSIGNED:
            self._attempts.started(dispatch)
        if not dispatch.take(batch):
            if batch.last_seq > dispatch.received:
                link.send(Resume(attempt, dispatch.received))
        elif dispatch.held_bytes > 2 * self._graces.window_bytes:
            self._attempts.lose(dispatch, f"worker {link.worker.worker_id} sent more than its window allows")

    def report(self, link: Link, attempt: AttemptId, report: Reported) -> None:
        """The worker's last word about an attempt, repeated until it is acknowledged."""
        dispatch = self._attempts.get(attempt)
        if dispatch is not None and dispatch.worker == link.worker and isinstance(dispatch.end, Reported):
            return
        dispatch = self._own(link, attempt)
        if dispatch is None:
            self._stopped(link.worker, attempt)
        elif dispatch.stage is Stage.UNCLAIMED:
            return
        elif dispatch.received < report.last_seq:
            link.send(Resume(attempt, dispatch.received))
        else:
            self._heed(dispatch, report)
            self._attempts.reported(dispatch, report)

    def _heed(self, dispatch: Dispatch, report: Reported) -> None:
        """Where a provider asked for patience, ask it nothing more, and tell the other Routers."""
        patience, run = report.patience, dispatch.run
        worker = self._fleet.get(dispatch.worker.worker_id) if dispatch.worker else None
        if patience is None or run is None or (worker is not None and worker.tenant):
            return  # what a tenant's own worker may not have, others' may: their accounts are not the same
        model = run.signature.model
        if self._matcher.throttle(model, patience.seconds, patience.reason):
            _log.info("model throttled", model=model, seconds=round(patience.seconds, 3), why=patience.reason)
            self._peers.tell(ThrottleWord(model, patience.seconds, patience.reason))

    def fleet_changed(self, worker_id: str) -> None:
        """The Registry said something new about a worker."""
        self._admission.heard()
        worker = self._fleet.get(worker_id)
        if worker is not None:
            self._links.tell_slots(worker.instance, worker.concurrency)
        self._drains.hear(worker_id, worker)
        self._attendance.compare(worker_id, worker)
        current = worker.instance if worker is not None and worker.state is not WorkerState.LOST else None
        for instance in self._leases.instances_of(worker_id) - {current}:
            replaced = worker is not None and worker.instance != instance
            self._losses.lost(self._leases.held_by(instance), f"worker {worker_id} was lost", has_none=replaced)
        if worker is None:
            gone = NotFound("worker", worker_id, reason="WORKER_NOT_REGISTERED", message="register again")
            self._links.close(worker_id, gone)
        elif drain := self._drains.word_for(worker_id):
            self._links.send(worker.instance, drain)
        self._matcher.worker_changed(worker_id)

    def _occupied(self, worker: WorkerInstance, occupied: Occupied) -> None:
        self._fleet.occupied(worker, occupied.total, occupied.by_queue)

    def _stopped(self, worker: WorkerInstance, attempt: AttemptId) -> None:
        """It surely runs no more of what may be abandoned: whatever it still holds for that is free."""
        lease = self._leases.of(attempt)
        if lease is not None and lease.worker == worker:
            self._attempts.free(attempt)

    def _own(self, link: Link, attempt: AttemptId) -> Dispatch | None:
        dispatch = self._attempts.owned_by(link.worker, attempt)
        if dispatch is None:
            self.refused_words += 1
            self._suspect(link, attempt)
            link.send(self._attempts.answer_late(attempt))
        return dispatch

    def _suspect(self, link: Link, attempt: AttemptId) -> None:
        """Tell people of a worker that speaks of what it never had; once a stream. Late words are no such thing."""
        held = self._attempts.get(attempt)
        late = self._attempts.is_over(attempt) if held is None else held.worker == link.worker
        if not late and not link.suspected:
            link.suspected = True
            _log.warning(
                "word about an attempt that is not the worker's refused",
                reason="NOT_ASSIGNED",
                worker_id=link.worker.worker_id,
                instance_id=link.worker.instance_id,
                task_id=attempt.task_id,
                attempt=attempt.number,
            )

    def _join(self, link: Link, item: InHand) -> None:
        dispatch = self._attempts.get(item.id)
        if self._is_anothers(link, item.id):
            self._suspect(link, item.id)
            link.send(Cancel(item.id, CancelReason.FENCED))
        elif dispatch is None and not self._attempts.is_over(item.id):
            self._await_planner(link, item)
        elif dispatch is None or not self._belongs(dispatch, link.worker, item):
            link.send(self._attempts.answer_late(item.id))
            if item.ended:
                self._stopped(link.worker, item.id)
        elif dispatch.stage is not Stage.ENDED:
            self._matcher.withdraw(item.id)
            self._attempts.adopt(dispatch, link.worker, item.queue, ended=item.ended)
            if dispatch.stage is not Stage.UNCLAIMED:
                self._go_on(link, dispatch)

    def _is_anothers(self, link: Link, attempt: AttemptId) -> bool:
        """Whether it is of a task whose tenant the worker does not serve: it cannot have been given to it."""
        known = self._attempts.newest_of(attempt.task_id)
        if known is None or known.worker == link.worker:
            return False
        tenant = known.run.tenant if known.run is not None else self._tenant_of(known.worker)
        return bool(tenant) and not self._fleet.serves(link.worker.worker_id, tenant)

    def _tenant_of(self, holder: WorkerInstance | None) -> str:
        """Whose a task surely is that this worker has; empty: whoever's."""
        known = None if holder is None else self._fleet.get(holder.worker_id)
        return known.tenant if known is not None else ""

    def _belongs(self, dispatch: Dispatch, worker: WorkerInstance, item: InHand) -> bool:
        if dispatch.stage is Stage.WAITING:
            return not item.ended  # dispatched again by a Planner that was never told where it runs
        if dispatch.stage is Stage.RECONNECTING and not dispatch.received:
            return True  # given to another worker since its Planner was told
        return dispatch.worker == worker and not isinstance(dispatch.end, WasLost)

    def _await_planner(self, link: Link, item: InHand) -> None:
        worker = link.worker
        if self._leases.count(worker.worker_id) >= _MOST_IN_HAND:
            # Whatever it makes up is kept until a Planner might have come for it.
            link.send(Cancel(item.id, CancelReason.FENCED))
            return
        dispatch = self._attempts.open(item.id, None, Stage.UNCLAIMED)
        self._attempts.adopt(dispatch, worker, item.queue, ended=item.ended)
        self._clock.call_later(self._graces.orphan, lambda: self._still_unclaimed(dispatch))

    def _go_on(self, link: Link, dispatch: Dispatch) -> None:
        if dispatch.stage is not Stage.RUNNING:
            self._attempts.started(dispatch)
        link.send(Resume(dispatch.id, dispatch.received))
        if dispatch.cancel_requested:
            self._attempts.cancel(dispatch)

    def _gone(self, worker: WorkerInstance) -> None:
        del self._missing[worker]
        message = f"worker {worker.worker_id} did not come back within {self._graces.link:g} s"
        self._losses.lost(self._leases.held_by(worker), message, has_none=False)
        self._attendance.gave_up(worker)

    def _still_unbegun(self, dispatch: Dispatch) -> None:
        if self._attempts.is_missing(dispatch) and dispatch.worker is not None:
            message = f"worker {dispatch.worker.worker_id} does not have it, and nobody else came forward with it"
            self._attempts.lose(dispatch, message, never_began=True)

    def _still_unclaimed(self, dispatch: Dispatch) -> None:
        if dispatch.stage is Stage.UNCLAIMED and self._attempts.get(dispatch.id) is dispatch:
            self._attempts.abandon(dispatch)
