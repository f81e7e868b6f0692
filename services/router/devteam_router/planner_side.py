"""What Planners ask of the Router."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from devteam.mesh.clock import Clock, Timer
from devteam.mesh.errors import ResourceExhausted, Unavailable
from devteam_router.attempts import Attempts
from devteam_router.dispatch import Dispatch, Event, NeverRan, Reported, Stage, Waits, WasLost
from devteam_router.domain import AttemptId, Run, Wait, WaitReason, WorkerInstance
from devteam_router.frames import Resume, TokensAck
from devteam_router.graces import Graces
from devteam_router.lines import Lines
from devteam_router.matching import Matcher
from devteam_router.peers import Peers
from devteam_router.ports import Lineup

# The worker of an attempt that was given up, to a Planner that never heard of it.
_SOMEBODY = WorkerInstance("unknown", "")


class PlannerSide:
    """Opens, follows, acknowledges and cancels attempts.

    The end of a Planner's call cancels nothing: an attempt that nobody follows is kept for `graces.orphan` seconds.
    Where there are other Routers, it may stand in another one's line by then: so one that waits is not placed before
    somebody asks for it.
    """

    def __init__(
        self,
        attempts: Attempts,
        matcher: Matcher,
        lines: Lines,
        lineup: Lineup,
        peers: Peers,
        graces: Graces,
        clock: Clock,
        serves: Callable[[str, str], bool],
    ) -> None:
        self._attempts = attempts
        self._matcher = matcher
        self._lines = lines
        self._lineup = lineup
        self._peers = peers
        self._graces = graces
        self._clock = clock
        # Whether a worker may have what is a tenant's.
        self._serves = serves
        self._draining = False
        # What ends an attempt that waits too long for a worker, or for a Planner.
        self._limits: dict[AttemptId, Timer] = {}
        self._orphans: dict[AttemptId, Timer] = {}

    def drain(self) -> None:
        """Take no further dispatches."""
        self._draining = True

    async def dispatch(
        self, run: Run, *, last_seq: int, assigned: WorkerInstance | None
    ) -> AsyncGenerator[Event, None]:
        """Everything that becomes of one attempt, until its end.

        Raises Unavailable while draining, ResourceExhausted when too much waits, Aborted for a stale attempt or when
        another call for the same attempt takes over.
        """
        dispatch = self._known(run, last_seq, assigned)
        if dispatch is None:
            dispatch = self._open(run, last_seq, assigned)
        else:
            self._join(dispatch, run, last_seq)
        try:
            async with aclosing(dispatch.follow(last_seq)) as events:
                async for event in events:
                    yield event
            if isinstance(dispatch.end, NeverRan | WasLost):
                self._attempts.forget(dispatch, stored=False)
        finally:
            self._left(dispatch)

    def acknowledge(self, attempt: AttemptId, seq: int, *, report: bool) -> None:
        """Tokens up to `seq` (and the outcome) are stored: let the worker forget them."""
        dispatch = self._attempts.get(attempt)
        if dispatch is None:
            return
        dispatch.acknowledge(seq)
        if report and isinstance(dispatch.end, Reported):
            self._attempts.stored(dispatch)
            _stop(self._orphans, attempt)
        elif dispatch.worker is not None:
            self._lineup.send(dispatch.worker, TokensAck(attempt, seq))

    def cancel(self, attempt: AttemptId) -> None:
        """Stop an attempt: out of its line, or on its worker."""
        dispatch = self._attempts.get(attempt)
        if dispatch is None or dispatch.stage is Stage.ENDED:
            return
        dispatch.cancel_requested = True
        if dispatch.stage is Stage.WAITING:
            self._matcher.withdraw(attempt)
            self._attempts.never_ran(dispatch, "cancelled while it waited", cancelled=True)
        else:
            self._attempts.cancel(dispatch)

    def _known(self, run: Run, last_seq: int, assigned: WorkerInstance | None) -> Dispatch | None:
        claimed = self._attempts.newest_of(run.id.task_id)
        if claimed is not None and claimed.worker != assigned and self._is_usurped(claimed, run):
            self._attempts.displace(claimed)
        dispatch = self._attempts.get(run.id)
        if dispatch is None or assigned in {None, dispatch.worker}:
            return dispatch
        if dispatch.stage is Stage.UNCLAIMED:
            self._attempts.abandon(dispatch)  # that is not the worker which it was given to
            return None
        if last_seq > 0:
            self._attempts.displace(
                dispatch
            )  # what is stored came from another worker, which has it from another Router
            return None
        return dispatch

    def _open(self, run: Run, last_seq: int, assigned: WorkerInstance | None) -> Dispatch:
        if self._draining:
            raise Unavailable("the router is going down; dispatch again", reason="DRAINING")
        if assigned is not None:
            return self._await_worker(run, last_seq, assigned)
        if self._attempts.is_over(run.id):
            return self._given_up(run, _SOMEBODY)
        if run.schedule_within is None or run.schedule_within > 0:
            self._refuse_if_full(run)
        dispatch = self._attempts.open(run.id, run, Stage.WAITING)
        if run.schedule_within is not None:
            self._limit(dispatch, run.schedule_within)
        if dispatch.stage is Stage.WAITING:
            self._matcher.submit(run)
        return dispatch

    def _refuse_if_full(self, run: Run) -> None:
        queue, graces = run.signature.queues[0], self._graces
        for what, reason, waiting, bound in (
            ("the Router", "ROUTER_FULL", len(self._lines), graces.max_waiting),
            (f"queue {queue!r}", "QUEUE_FULL", self._lines.waiting_in(queue), graces.max_waiting_per_queue),
            (
                f"tenant {run.tenant!r}",
                "TENANT_FULL",
                self._lines.waiting_of(run.tenant),
                graces.max_waiting_per_tenant,
            ),
        ):
            if waiting >= bound:
                raise ResourceExhausted(
                    f"{what} has {bound} runs that wait for a worker, and no more may", reason=reason, retry_after=5.0
                )

    def _limit(self, dispatch: Dispatch, seconds: float) -> None:
        if seconds <= 0:
            self._attempts.out_of_time(dispatch)
            return
        dispatch.place_until = self._clock.monotonic() + seconds
        self._limits[dispatch.id] = self._clock.call_later(seconds, lambda: self._out_of_time(dispatch))

    def _is_usurped(self, dispatch: Dispatch, run: Run) -> bool:
        """Whether a worker came forward with an attempt that it cannot have been given."""
        if dispatch.stage is not Stage.UNCLAIMED or dispatch.worker is None:
            return False
        return not self._serves(dispatch.worker.worker_id, run.tenant)

    def _await_worker(self, run: Run, last_seq: int, worker: WorkerInstance) -> Dispatch:
        if self._attempts.is_over(run.id):
            return self._given_up(run, worker)
        dispatch = self._attempts.open(run.id, run, Stage.RECONNECTING)
        dispatch.worker = worker
        dispatch.restart_after(last_seq)
        # One that is here got it from another Router: it offers it to this one, or says that it does not have it.
        if not self._lineup.send(worker, Resume(run.id, last_seq)):
            wait = Wait(WaitReason.WORKER_RECONNECTING, f"worker {worker.worker_id} runs it, but is not connected")
            dispatch.tell(Waits(wait, run.signature.queues[0]))
        self._clock.call_later(self._graces.link, lambda: self._still_missing(dispatch))
        return dispatch

    def _given_up(self, run: Run, worker: WorkerInstance) -> Dispatch:
        """An attempt starts once: what was lost or fenced may still run somewhere, and is not placed again."""
        dispatch = self._attempts.open(run.id, run, Stage.RECONNECTING)
        dispatch.worker = worker
        dispatch.finish(WasLost(worker, f"worker {worker.worker_id} no longer has the run"))
        return dispatch

    def _still_missing(self, dispatch: Dispatch) -> None:
        if self._attempts.is_missing(dispatch) and dispatch.worker is not None:
            self._attempts.lose(dispatch, f"worker {dispatch.worker.worker_id} did not come back")

    def _join(self, dispatch: Dispatch, run: Run, last_seq: int) -> None:
        _stop(self._orphans, run.id)
        if dispatch.stage is Stage.UNCLAIMED:
            dispatch.run, dispatch.stage = run, Stage.RUNNING
            self._resume(dispatch, last_seq)
        elif dispatch.floor > last_seq and dispatch.worker is not None:
            self._resume(dispatch, last_seq)
        else:
            dispatch.acknowledge(last_seq)
        if dispatch.stage is Stage.WAITING and self._lines.line_of(run.id) is None:
            self._line_up(dispatch, run)

    def _line_up(self, dispatch: Dispatch, run: Run) -> None:
        """Have it wait again, if it still may."""
        if not self._attempts.shed(dispatch.id, self._clock.monotonic()):
            self._matcher.submit(run)

    def _resume(self, dispatch: Dispatch, last_seq: int) -> None:
        assert dispatch.worker is not None
        dispatch.restart_after(last_seq)
        self._lineup.send(dispatch.worker, Resume(dispatch.id, last_seq))
        if dispatch.cancel_requested:
            self._attempts.cancel(dispatch)

    def _left(self, dispatch: Dispatch) -> None:
        if dispatch.followed:
            return
        held = self._attempts.get(dispatch.id)
        if held is dispatch:
            if self._peers.addresses:
                self._matcher.withdraw(dispatch.id)
            _stop(self._orphans, dispatch.id)
            self._orphans[dispatch.id] = self._clock.call_later(self._graces.orphan, lambda: self._orphaned(dispatch))
        if held is None or dispatch.stage is Stage.ENDED:
            _stop(self._limits, dispatch.id)

    def _orphaned(self, dispatch: Dispatch) -> None:
        _stop(self._orphans, dispatch.id)
        _stop(self._limits, dispatch.id)
        if self._attempts.get(dispatch.id) is dispatch:
            self._attempts.abandon(dispatch)

    def _out_of_time(self, dispatch: Dispatch) -> None:
        if dispatch.stage is Stage.WAITING and self._attempts.get(dispatch.id) is dispatch:
            self._matcher.withdraw(dispatch.id)
            self._attempts.out_of_time(dispatch)


def _stop(timers: dict[AttemptId, Timer], attempt: AttemptId) -> None:
    if timer := timers.pop(attempt, None):
        timer.cancel()
