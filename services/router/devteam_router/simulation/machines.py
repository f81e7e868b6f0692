"""The machines: they run what they are given, for as long as it takes them."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from devteam.mesh.clock import Clock, Timer
from devteam_router.domain import AttemptId, Run, Worker, WorkerInstance
from devteam_router.frames import Assign, Frame
from devteam_router.simulation.memory import Memory
from devteam_router.simulation.scenario import Group
from devteam_router.simulation.traffic import Job


@dataclass(slots=True, eq=False)
class Machine:
    """One machine, there from `came` until `left`. `worker` is what the Registry knows of it."""

    group: Group
    worker: Worker
    memory: Memory
    came: float
    left: float = float("inf")
    runs: dict[AttemptId, tuple[Run, Timer]] = field(default_factory=dict)

    @property
    def slots(self) -> int:
        """How much it runs at a time."""
        return min(self.worker.concurrency, sum(queue.concurrency for queue in self.worker.queues.values()))


class Machines:
    """Everybody who is on the line with the Router.

    `on_end` is told of each attempt that has ended on its machine, `on_change` of workers that are other ones now.
    """

    def __init__(self, clock: Clock, on_end: Callable[[AttemptId], None], on_change: Callable[[Worker], None]) -> None:
        self._clock = clock
        self._on_end = on_end
        self._on_change = on_change
        self._by_id: dict[str, Machine] = {}
        self._groups: defaultdict[str, list[Machine]] = defaultdict(list)

    def join(self, group: Group, count: int) -> None:
        """So many more machines come."""
        for _ in range(count):
            known = self._groups[group.name]
            worker_id = f"{group.name}-{len(known) + 1}"
            worker = replace(group.worker, instance=WorkerInstance(worker_id, "1"))
            memory = Memory(worker.local_models, group.load_time, group.in_memory)
            machine = self._by_id[worker_id] = Machine(group, worker, memory, self._clock.monotonic())
            known.append(machine)
            self._on_change(worker)

    def alive(self, group: str) -> list[Machine]:
        """Those of a group that are there, in the order in which they came."""
        return [machine for machine in self._groups[group] if machine.left == float("inf")]

    def change(self, machine: Machine, worker: Worker) -> None:
        """The Registry says something else of a machine."""
        machine.worker = worker
        self._on_change(worker)

    def die(self, machine: Machine) -> list[Run]:
        """It is gone in the middle of its runs, which are returned."""
        machine.left = self._clock.monotonic()
        for _, timer in machine.runs.values():
            timer.cancel()
        return [run for run, _ in machine.runs.values()]

    def connected(self, worker: WorkerInstance) -> bool:
        """Whether it is there."""
        machine = self._by_id.get(worker.worker_id)
        return machine is not None and machine.left == float("inf")

    def send(self, worker: WorkerInstance, frame: Frame) -> bool:
        """Begin with what was assigned."""
        if isinstance(frame, Assign):
            self._begin(self._by_id[worker.worker_id], frame.run)
        return True

    def __iter__(self) -> Iterator[Machine]:
        return iter(self._by_id.values())

    def _begin(self, machine: Machine, run: Run) -> None:
        job = run.payload
        assert isinstance(job, Job)
        loading = machine.memory.use(job.stream.model, self._clock.monotonic())
        seconds = loading + job.work / machine.group.speed
        machine.runs[run.id] = run, self._clock.call_later(seconds, lambda: self._end(machine, run, job))
        self._remember(machine)

    def _end(self, machine: Machine, run: Run, job: Job) -> None:
        del machine.runs[run.id]
        machine.memory.leave(job.stream.model)
        self._on_end(run.id)

    def _remember(self, machine: Machine) -> None:
        """The Router assumes by itself that a model is loaded where it is used; what went for it, it has to be told."""
        known, now = machine.worker.resident_models, machine.memory.models
        if known == now:
            return
        machine.worker = replace(machine.worker, resident_models=now)
        if known - now:
            # Not in the middle of the decision that led to it.
            self._clock.call_later(0.0, lambda: self._on_change(machine.worker))
