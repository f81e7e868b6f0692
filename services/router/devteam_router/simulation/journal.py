"""What happened, as it happens."""

from collections import defaultdict
from dataclasses import dataclass

from devteam.mesh.clock import Clock
from devteam_router.choices import Choice
from devteam_router.domain import AttemptId, Decision, Run, Wait, WaitReason
from devteam_router.simulation.traffic import Job


@dataclass(slots=True)
class Stay:
    """An attempt on a machine, from `since` to `until` (NaN: it runs), after having `waited`; all in seconds."""

    job: Job
    worker_id: str
    queue: str
    waited: float
    since: float
    until: float = float("nan")
    lost: bool = False


class Journal:
    """Hears what becomes of runs while they look for a worker and after."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.stays: list[Stay] = []
        # Seconds that runs have waited, by the reason.
        self.reasons: defaultdict[WaitReason, float] = defaultdict(float)
        # Attempts that found no worker before their deadline.
        self.late: list[AttemptId] = []
        self._deadlines: dict[AttemptId, float] = {}
        self._waits: dict[AttemptId, tuple[WaitReason, float]] = {}
        self._running: dict[AttemptId, Stay] = {}

    @property
    def in_line(self) -> int:
        """How many runs wait now."""
        return len(self._waits)

    def waits(self, attempt: AttemptId) -> bool:
        """Whether a run waits now."""
        return attempt in self._waits

    def expects(self, run: Run) -> None:
        """A run will look for a worker from now on."""
        if run.schedule_within is not None:
            self._deadlines[run.id] = self._clock.monotonic() + run.schedule_within

    def shed(self, attempt: AttemptId, now: float) -> bool:
        """Whether its time to be placed is over; it has ended then."""
        if now < self._deadlines.get(attempt, float("inf")):
            return False
        self.gave_up(attempt)
        return True

    def waiting(self, attempt: AttemptId, wait: Wait, queue: str) -> None:
        """It waits, for this reason."""
        self._account(attempt)
        self._waits[attempt] = wait.reason, self._clock.monotonic()

    def gave_up(self, attempt: AttemptId) -> None:
        """It waits no longer, and was given to nobody."""
        self._moved_on(attempt)
        self.late.append(attempt)

    def assigned(self, run: Run, decision: Decision, choice: Choice) -> None:
        """It was given to the worker of this choice."""
        self._moved_on(run.id)
        assert isinstance(run.payload, Job)
        worker_id = choice.seat.station.worker.id
        stay = Stay(run.payload, worker_id, decision.queue, decision.waited, self._clock.monotonic())
        self.stays.append(stay)
        self._running[run.id] = stay

    def ended(self, attempt: AttemptId, *, lost: bool = False) -> None:
        """Its machine is done with it, or (`lost`) gone."""
        stay = self._running.pop(attempt)
        stay.until, stay.lost = self._clock.monotonic(), lost

    def refiled(self, run: Run) -> None:
        """It waits in other queues than before."""

    def _moved_on(self, attempt: AttemptId) -> None:
        self._deadlines.pop(attempt, None)
        self._account(attempt)

    def _account(self, attempt: AttemptId) -> None:
        """Count how long the reason that held until now has held."""
        reason, since = self._waits.pop(attempt, (None, 0.0))
        if reason is not None:
            self.reasons[reason] += self._clock.monotonic() - since
