"""A Router without a network: real parts, a clock that stands still, and both kinds of callers in the same loop."""

import asyncio
from collections.abc import Iterable, Sequence
from random import Random

from devteam_router.dispatch import Event, Patience, Reported
from devteam_router.domain import AttemptId, Run, Worker, WorkerInstance
from devteam_router.frames import Attached, Frame, RejectReason
from devteam_router.graces import Graces
from devteam_router.link import Link
from devteam_router.ports import FleetSnapshot, WorkerChanged
from devteam_router.routing import Policy
from devteam_router.service import RouterCore
from devteam_router.worker_side import InHand

from devteam.mesh.errors import DevTeamError
from devteam.mesh.tasks import cancelled
from tests.fakes.clock import FakeClock
from tests.fakes.router_samples import a_worker, story, tokens


class WorkerEnd:
    """A worker's end of its line. It does nothing of itself; what it was told is taken with `heard`."""

    def __init__(self, core: RouterCore, worker: WorkerInstance, link: Link) -> None:
        self.worker = worker
        self.link = link
        self._core = core

    def heard(self) -> list[Frame]:
        """What the Router said since the last time, but for the greeting."""
        frames = self.unheard()
        self.link._frames.clear()
        return frames

    def unheard(self) -> list[Frame]:
        """What `heard` would give."""
        return [frame for frame in self.link._frames if not isinstance(frame, Attached)]

    @property
    def closed_with(self) -> DevTeamError | None:
        """The error that the Router ended the stream with."""
        return self.link._error

    def accept(self, *task_ids: str, attempt: int = 1) -> None:
        for task_id in task_ids:
            self._core.workers.accepted(self.link, AttemptId(task_id, attempt))

    def reject(self, task_id: str, attempt: int = 1, reason: RejectReason = RejectReason.NOT_SERVED) -> None:
        self._core.workers.rejected(self.link, AttemptId(task_id, attempt), "no", reason)

    def offer(self, *in_hand: InHand) -> None:
        """These runs have lost their Router."""
        self._core.workers.offered(self.link, in_hand)

    def release(self, task_id: str, attempt: int = 1) -> None:
        """It does not have the run."""
        self._core.workers.released(self.link, AttemptId(task_id, attempt))

    def say(self, task_id: str, first_seq: int, last_seq: int, *, attempt: int = 1, size: int = 10) -> None:
        self._core.workers.tokens(self.link, AttemptId(task_id, attempt), tokens(first_seq, last_seq, size=size))

    def report(self, task_id: str, last_seq: int = 0, *, attempt: int = 1) -> None:
        self._core.workers.report(self.link, AttemptId(task_id, attempt), Reported(last_seq, "report"))

    def hand_back(self, task_id: str, patience: float, *, attempt: int = 1) -> None:
        """Its provider wants no more of the model for so many seconds."""
        word = Reported(0, "handed back", Patience(patience, "anthropic said 429"))
        self._core.workers.report(self.link, AttemptId(task_id, attempt), word)

    def hang_up(self) -> None:
        """The stream breaks."""
        self._core.workers.detach(self.link)


class PlannerEnd:
    """A Planner's call for one attempt: hears everything at once, as far as the loop is given time."""

    def __init__(self, core: RouterCore, run: Run, last_seq: int, assigned: WorkerInstance | None) -> None:
        self.events: list[Event] = []
        self.error: DevTeamError | None = None
        self.over = False
        self._heard = core.planners.dispatch(run, last_seq=last_seq, assigned=assigned)
        self._task = asyncio.create_task(self._listen())

    @property
    def story(self) -> list[str]:
        """What was heard, in a few words each."""
        return story(self.events)

    async def leave(self) -> None:
        """Break the call."""
        await cancelled(self._task)

    async def _listen(self) -> None:
        try:
            async for event in self._heard:
                self.events.append(event)
        except DevTeamError as error:
            self.error = error
        finally:
            self.over = True


class RouterBench:
    """One Router and everyone who talks to it."""

    def __init__(self, clock: FakeClock, *, policy: Policy | None = None, graces: Graces | None = None) -> None:
        self.clock = clock
        self.graces = graces or Graces()
        self._policy = policy or Policy()
        self._workers: list[WorkerEnd] = []
        self._planners: list[PlannerEnd] = []
        self.core = self._fresh_core()

    def restart(self) -> None:
        """The Router dies, and another one takes its place: it knows no worker and no run."""
        self.core = self._fresh_core()
        self._workers.clear()

    def register(self, worker: Worker) -> None:
        """The Registry tells of a new or changed worker."""
        self.core.hear(WorkerChanged(worker))

    def attach(self, worker: WorkerInstance, *in_hand: InHand) -> WorkerEnd:
        """A worker's stream opens."""
        end = WorkerEnd(self.core, worker, self.core.workers.attach(worker, in_hand))
        self._workers.append(end)
        return end

    def worker(self, worker: Worker | None = None, *in_hand: InHand) -> WorkerEnd:
        """A worker registers and attaches."""
        worker = worker or a_worker()
        self.register(worker)
        return self.attach(worker.instance, *in_hand)

    async def dispatch(self, run: Run, *, last_seq: int = 0, assigned: WorkerInstance | None = None) -> PlannerEnd:
        """A Planner dispatches, and hears what there is to hear at once."""
        planner = PlannerEnd(self.core, run, last_seq, assigned)
        self._planners.append(planner)
        await self.settled()
        return planner

    def acknowledge(self, task_id: str, seq: int, *, attempt: int = 1, report: bool = False) -> None:
        """A Planner has stored tokens, or the outcome too."""
        self.core.planners.acknowledge(AttemptId(task_id, attempt), seq, report=report)

    def cancel(self, task_id: str, attempt: int = 1) -> None:
        """A Planner cancels."""
        self.core.planners.cancel(AttemptId(task_id, attempt))

    async def advance(self, seconds: float) -> None:
        """Time passes, and everyone hears what comes of it."""
        self.clock.advance(seconds)
        await self.settled()

    async def settled(self) -> None:
        """Give every listener its turns, until nobody has anything left to do."""
        ready = asyncio.get_running_loop()._ready  # type: ignore[attr-defined]  # no public name says it
        await asyncio.sleep(0)
        while ready:  # noqa: ASYNC110 - nothing else tells that all are done
            await asyncio.sleep(0)

    @property
    def held(self) -> list[str]:
        """The tasks that hold a lease, with their workers."""
        return sorted(f"{lease.id.task_id}/{lease.id.number} on {lease.worker.worker_id}" for lease in self.core.leases)

    async def wind_down(self) -> Sequence[object]:
        """Everyone leaves and every grace passes; returns whatever is still held, in any table."""
        for planner in self._planners:
            await planner.leave()
        for worker in self._workers:
            worker.hang_up()
        await self.advance(max(self.graces.link, self.graces.orphan, self.graces.refusal) * 2 + 1)
        self.core.hear(FleetSnapshot((), complete=True, first=True))
        return left_over(self.core, self.clock)

    def _fresh_core(self) -> RouterCore:
        return RouterCore(self._policy, self.graces, self.clock, Random(7), "router-1")


def left_over(core: RouterCore, clock: FakeClock) -> Sequence[object]:
    """Everything that a Router still holds, in any table: nothing, once everyone has left and every grace passed."""
    tables: dict[str, Iterable[object]] = {
        "leases": core.leases,
        "slots": [
            held for holdings in core.leases._by_worker.values() for part in holdings.queues.values() for held in part
        ],
        "ended": [held for holdings in core.leases._by_worker.values() for held in holdings.ended],
        "attempts": core.attempts,
        "newest attempts": core.attempts._newest,
        "refusals": [refused for station in core.fleet._stations.values() for refused in station.refuses],
        "resting": core.fleet._resting,
        "workers": [*core.fleet._stations, *core.fleet._by_queue, *core.fleet._by_host],
        "kinds in use": [kind.key for kind in core.fleet._kinds._kinds.values() if kind.stations or kind.open],
        "profiles in use": [found.key for found in core.fleet._kinds._profiles.values() if found.workers or found.open],
        "free seats": [
            row for rows in core.fleet._kinds._rows.values() for _, row in rows.entries if row.free or row.vacant
        ],
        "places": [*core.fleet.sources._holders, *core.fleet.sources._hosts, *core.fleet.sources._versions],
        "free workers in fields": [seat for field in core.placer._fields._fields.values() for seat in field.seats()],
        "agendas": [agenda for agenda in core.matcher._agendas._agendas.values() if agenda.next(lambda _: True)],
        "held lines": core.matcher._holds._behind,
        "gates of lines": core.matcher._holds._gates,
        "competing tenants": [name for name, shares in core.lines.fairness._queues.items() if shares.competing],
        "waiting": core.lines._waiting,
        "lines": core.lines._lines,
        "counts by queue": core.lines._of_queue,
        "counts by tenant": core.lines._of_tenant,
        "links": core.links._links,
        "limits": core.planners._limits,
        "orphans": core.planners._orphans,
        "missing workers": core.workers._missing,
        "timers": [timer for *_, timer in clock._due if not timer.cancelled],
    }
    return [(name, item) for name, table in tables.items() for item in table]


def in_hand(task_id: str, *, attempt: int = 1, queue: str = "default", ended: bool = False) -> InHand:
    """What an attaching worker says that it runs."""
    return InHand(AttemptId(task_id, attempt), queue, ended)
