"""Plays a scenario through the Router's real placement."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

from devteam_router.domain import AttemptId, Availability, Run, Signature, StrategyName
from devteam_router.graces import Graces
from devteam_router.simulation.core import PlacementCore
from devteam_router.simulation.event_clock import EventClock
from devteam_router.simulation.journal import Journal
from devteam_router.simulation.machines import Machine, Machines
from devteam_router.simulation.scenario import Change, FleetIncident, Scenario, Stream, ThrottleIncident
from devteam_router.simulation.traffic import Job, jobs

# Events between two words about progress.
_EVENTS = 5_000

# Told how many seconds of the scenario are over, and how many attempts were placed by then.
Progress = Callable[[float, int], None]


class Play:
    """One scenario, once, with one strategy."""

    def __init__(self, scenario: Scenario, strategy: StrategyName) -> None:
        self.scenario = scenario
        self.strategy = strategy
        self.jobs: Sequence[Job] = jobs(scenario)
        self.clock = EventClock()
        self.journal = Journal(self.clock)
        self.machines = Machines(self.clock, self._ended, lambda worker: self._core.fleet.put(worker))  # noqa: PLW0108 - bound late
        policy = replace(scenario.policy, strategy=strategy)
        random = Random(f"{scenario.seed}/ties")  # noqa: S311 - breaks ties
        self._core = PlacementCore(policy, self.machines, self.journal, self.clock, random)
        self._core.matcher.reroute(scenario.wishes)
        self._signatures: dict[Stream, Signature] = {stream: self._signature(stream) for stream in scenario.streams}
        self._groups = {group.name: group for group in scenario.groups}
        self._coming = iter(self.jobs)

    def run(self, progress: Progress = lambda _seconds, _placed: None) -> None:
        """Play it to the end: everything that can end has ended."""
        for group in self.scenario.groups:
            self.machines.join(group, group.count)
        for incident in self.scenario.incidents:
            self.clock.call_later(incident.at, lambda incident=incident: self._happen(incident))  # type: ignore[misc]  # bound now
        self._await_next()
        while self.clock.run(_EVENTS):
            progress(self.clock.monotonic(), len(self.journal.stays))

    def _await_next(self) -> None:
        if (job := next(self._coming, None)) is not None:
            self.clock.call_later(job.came - self.clock.monotonic(), lambda: self._come(job))

    def _come(self, job: Job) -> None:
        stream = job.stream
        signature = self._signatures[stream]
        self._dispatch(Run(AttemptId(job.id, 1), signature, job, stream.priority, stream.deadline, stream.tenant))
        self._await_next()

    def _dispatch(self, run: Run) -> None:
        self.journal.expects(run)
        self._core.matcher.submit(run)
        if run.schedule_within is not None and self.journal.waits(run.id):
            self.clock.call_later(run.schedule_within, lambda: self._out_of_time(run.id))

    def _out_of_time(self, attempt: AttemptId) -> None:
        if self._core.matcher.withdraw(attempt):
            self.journal.gave_up(attempt)

    def _ended(self, attempt: AttemptId) -> None:
        self.journal.ended(attempt)
        self._core.free(attempt)

    def _happen(self, incident: FleetIncident | ThrottleIncident) -> None:
        if isinstance(incident, ThrottleIncident):
            self._core.matcher.throttle(incident.model, incident.seconds, "the scenario says so")
        elif incident.change is Change.JOIN:
            group = self._groups[incident.group]
            self.machines.join(group, group.count if incident.count is None else incident.count)
        else:
            self._change(incident.change, self.machines.alive(incident.group), incident.count)

    def _change(self, change: Change, machines: Sequence[Machine], count: int | None) -> None:
        if change is Change.KILL:
            for machine in machines[:count]:
                self._kill(machine)
            return
        wanted = Availability.CORDONED if change is Change.CORDON else Availability.OPEN
        others = [machine for machine in machines if machine.worker.availability is not wanted]
        for machine in others[:count]:
            self.machines.change(machine, replace(machine.worker, availability=wanted))

    def _kill(self, machine: Machine) -> None:
        """Its line breaks at once; what it ran is given up as late as a Router would."""
        runs = self.machines.die(machine)
        for run in runs:
            self.journal.ended(run.id, lost=True)
        self._core.matcher.worker_changed(machine.worker.id)
        self.clock.call_later(Graces().link, lambda: self._give_up(machine.worker.id, runs))

    def _give_up(self, worker_id: str, runs: Sequence[Run]) -> None:
        for run in runs:
            self._core.leases.release(run.id)
        self._core.fleet.remove(worker_id)
        for run in runs:
            self._dispatch(replace(run, id=AttemptId(run.id.task_id, run.id.number + 1)))

    def _signature(self, stream: Stream) -> Signature:
        preferences = self._core.routing.preferences
        return Signature(
            preferences.queues(stream.model, stream.queue, ()),
            stream.model,
            stream.requirements,
            near_data_source=stream.near,
            preferred=not stream.queue,
        )
