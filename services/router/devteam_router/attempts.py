"""All attempts that the Router holds, and the turns that their lives can take."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import attrgetter

from devteam.mesh.errors import Aborted
from devteam.mesh.metrics import catalog
from devteam.mesh.metrics.instruments import record
from devteam_router.choices import Choice
from devteam_router.dispatch import (
    AssignedTo,
    Dispatch,
    HasStarted,
    NeverRan,
    Reported,
    Stage,
    ToldToStop,
    Waits,
    WasLost,
)
from devteam_router.domain import AttemptId, Decision, Run, Signature, StrategyName, Wait, WorkerInstance
from devteam_router.frames import Cancel, CancelReason, Frame, ReportAck
from devteam_router.leases import Lease, Leases
from devteam_router.ports import Lineup
from devteam_router.ring import Ring

_held_bytes = attrgetter("held_bytes")


@dataclass(frozen=True, slots=True)
class Placement:
    """A decision about a run, and what was chosen from."""

    assigned: AssignedTo
    signature: Signature
    choice: Choice
    tenant: str


class Attempts:
    """The table of attempts. The newest attempt of a task fences the older ones.

    `on_free` is called with the id of a worker that has a free slot again, `withdraw` with an attempt that shall leave
    its line.
    """

    def __init__(
        self,
        leases: Leases,
        lineup: Lineup,
        on_free: Callable[[str], None],
        withdraw: Callable[[AttemptId], object],
        *,
        remembered: int,
    ) -> None:
        self._leases = leases
        self._lineup = lineup
        self._on_free = on_free
        self._withdraw = withdraw
        self._dispatches: dict[AttemptId, Dispatch] = {}
        self._newest: dict[str, int] = {}
        # How to answer a worker that comes back with an attempt which is over: True if its report is stored.
        self._over: Ring[AttemptId, bool] = Ring(remembered)
        # The last decisions, by task, for those who ask why.
        self.decisions: Ring[str, Placement] = Ring(remembered // 10)

    def get(self, attempt: AttemptId) -> Dispatch | None:
        """The attempt, if it is held here."""
        return self._dispatches.get(attempt)

    def newest_of(self, task_id: str) -> Dispatch | None:
        """The newest attempt of a task that is held here."""
        number = self._newest.get(task_id)
        return self._dispatches.get(AttemptId(task_id, number)) if number else None

    def owned_by(self, worker: WorkerInstance, attempt: AttemptId) -> Dispatch | None:
        """The attempt, if it is this instance's and not over."""
        dispatch = self._dispatches.get(attempt)
        return dispatch if dispatch and dispatch.worker == worker and dispatch.stage is not Stage.ENDED else None

    def is_missing(self, dispatch: Dispatch) -> bool:
        """Whether its worker still has to come forward with it; not once the attempt was dispatched anew."""
        return dispatch.stage is Stage.RECONNECTING and self._dispatches.get(dispatch.id) is dispatch

    def open(self, attempt: AttemptId, run: Run | None, stage: Stage) -> Dispatch:
        """Hold a new attempt. Older attempts of the task are fenced.

        Raises Aborted when a newer one is held.
        """
        newest = self.newest_of(attempt.task_id)
        if newest is not None and newest.id.number > attempt.number:
            raise Aborted(
                f"attempt {newest.id.number} of task {attempt.task_id} has begun",
                reason="STALE_ATTEMPT",
                metadata={"current_attempt": str(newest.id.number)},
            )
        if newest is not None:
            self.abandon(newest)
        self._newest[attempt.task_id] = attempt.number
        self._dispatches[attempt] = dispatch = Dispatch(attempt, run, stage)
        return dispatch

    def waiting(self, attempt: AttemptId, wait: Wait, queue: str) -> None:
        """It waits, for this reason."""
        self._dispatches[attempt].tell(Waits(wait, queue))

    def refiled(self, run: Run) -> None:
        """It waits in other queues than before."""
        self._dispatches[run.id].run = run

    def assigned(self, run: Run, decision: Decision, choice: Choice) -> None:
        """It was given to this worker, which holds the lease by now."""
        dispatch, worker = self._dispatches[run.id], choice.seat.station.worker.instance
        dispatch.stage, dispatch.worker = Stage.ASSIGNED, worker
        placement = AssignedTo(worker, decision)
        record(catalog.DISPATCH_WAIT, decision.waited, decision.queue)
        self.decisions.put(run.id.task_id, Placement(placement, run.signature, choice, run.tenant))
        dispatch.tell(placement)

    def adopt(self, dispatch: Dispatch, worker: WorkerInstance, queue: str, *, ended: bool) -> None:
        """It turned out to be with this worker already; one that has ended there occupies no slot."""
        dispatch.worker = worker
        self._leases.grant(Lease(dispatch.id, worker, queue, occupies_slot=not ended))
        if dispatch.stage not in {Stage.ASSIGNED, Stage.RUNNING}:
            dispatch.tell(AssignedTo(worker, _adoption(worker, queue), adopted=True))

    def started(self, dispatch: Dispatch) -> None:
        """Its worker has accepted it, or was found to run it."""
        dispatch.stage = Stage.RUNNING
        dispatch.tell(HasStarted())

    def reported(self, dispatch: Dispatch, report: Reported) -> None:
        """Its worker has said its last word; the slot is free."""
        dispatch.finish(report)
        self.free(dispatch.id)

    def never_ran(self, dispatch: Dispatch, message: str, *, cancelled: bool) -> None:
        """It left the line without having been given to anyone."""
        dispatch.finish(NeverRan(cancelled, message))

    def shed(self, attempt: AttemptId, now: float) -> bool:
        """Whether it may be given to nobody any more at `now`; it has ended then."""
        dispatch = self._dispatches[attempt]
        if dispatch.place_until is None or now < dispatch.place_until:
            return False
        self.out_of_time(dispatch)
        return True

    def out_of_time(self, dispatch: Dispatch) -> None:
        """It may be given to nobody any more."""
        status = dispatch.status
        why = f": {status.wait.detail}" if isinstance(status, Waits) else ""
        self.never_ran(dispatch, f"no worker took it within its schedule_timeout{why}", cancelled=False)

    def lose(self, dispatch: Dispatch, message: str, *, never_began: bool = False) -> None:
        """Its worker vanished, or has none of it. Whatever that worker still says about it will be refused."""
        assert dispatch.worker is not None
        self._send(dispatch, Cancel(dispatch.id, CancelReason.FENCED))
        if dispatch.stage is Stage.UNCLAIMED:
            self.forget(dispatch, stored=False)
        else:
            dispatch.finish(WasLost(dispatch.worker, message, never_began))
        self.free(dispatch.id)

    def free(self, attempt: AttemptId) -> None:
        """Give its slot back."""
        if (lease := self._leases.release(attempt)) is not None:
            self._on_free(lease.worker.worker_id)

    def cancel(self, dispatch: Dispatch) -> None:
        """Tell its worker to stop, now if it is on the line. Its slot stays taken until it says that it has."""
        asked = Cancel(dispatch.id, CancelReason.REQUESTED)
        if dispatch.worker is not None and self._lineup.send(dispatch.worker, asked):
            dispatch.tell(ToldToStop(dispatch.worker))

    def abandon(self, dispatch: Dispatch) -> None:
        """Nobody wants it any longer: stop it wherever it is. Its slot stays taken until the worker has stopped.

        Unless that may have happened already, unheard: a worker says nothing about what was not asked for.
        """
        self._withdraw(dispatch.id)
        self._send(dispatch, Cancel(dispatch.id, CancelReason.FENCED))
        self.forget(dispatch, stored=False)
        dispatch.dismiss()
        lease = self._leases.of(dispatch.id)
        if lease is not None and (dispatch.stage is Stage.UNCLAIMED or not lease.occupies_slot):
            self.free(dispatch.id)

    def hand_over(self, dispatch: Dispatch) -> None:
        """Another Router has it now, worker and Planner: let go of it here. It is not over, and may come back."""
        self._drop(dispatch)
        dispatch.dismiss()
        self.free(dispatch.id)

    def displace(self, dispatch: Dispatch) -> None:
        """It is with another worker, which has it from another Router: stop what is here, for that one to come."""
        self.abandon(dispatch)
        self._over.drop(dispatch.id)

    def stored(self, dispatch: Dispatch) -> None:
        """The Planner has stored the outcome: the worker may forget it too."""
        self._send(dispatch, ReportAck(dispatch.id))
        self.forget(dispatch, stored=True)

    def forget(self, dispatch: Dispatch, *, stored: bool) -> None:
        """Hold it no longer, but remember for a while how it ended."""
        self._drop(dispatch)
        if dispatch.worker is not None:
            self._over.put(dispatch.id, stored)

    def answer_late(self, attempt: AttemptId) -> Frame:
        """What to tell a worker that speaks of an attempt which is not (or no longer) its own."""
        if self._over.get(attempt):
            return ReportAck(attempt)
        return Cancel(attempt, CancelReason.FENCED)

    def is_over(self, attempt: AttemptId) -> bool:
        """Whether the attempt has ended or was fenced here, as far as the Router remembers."""
        newest = self._newest.get(attempt.task_id, 0)
        return attempt in self._over or newest > attempt.number

    def _drop(self, dispatch: Dispatch) -> None:
        self._dispatches.pop(dispatch.id, None)
        if self._newest.get(dispatch.id.task_id) == dispatch.id.number:
            del self._newest[dispatch.id.task_id]

    def _send(self, dispatch: Dispatch, frame: Frame) -> None:
        if dispatch.worker is not None:
            self._lineup.send(dispatch.worker, frame)

    @property
    def backlog(self) -> int:
        """Bytes of tokens that Planners have not stored yet. Looks at every attempt."""
        return sum(map(_held_bytes, self._dispatches.values()))

    def __iter__(self) -> Iterator[Dispatch]:
        return iter(list(self._dispatches.values()))

    def __len__(self) -> int:
        return len(self._dispatches)


def _adoption(worker: WorkerInstance, queue: str) -> Decision:
    """The decision that stands for one made before this Router knew of the run."""
    return Decision(StrategyName.LEAST_LOADED, queue, f"already running on {worker.worker_id}", 1, 0.0)
