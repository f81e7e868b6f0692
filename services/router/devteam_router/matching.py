"""The one place where a waiting run meets a free slot."""

import heapq
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

from devteam.mesh.clock import Clock
from devteam_router.agendas import Agendas
from devteam_router.choices import Choice
from devteam_router.domain import AttemptId, Decision, Run, Signature, Wait
from devteam_router.fleet import Fleet
from devteam_router.frames import Assign
from devteam_router.gates import Closed, Gates, Nearness
from devteam_router.holds import Holds
from devteam_router.lines import Line, Lines, Waiting
from devteam_router.obstacles import Obstacles
from devteam_router.placing import Placer
from devteam_router.ports import Lineup, Placed
from devteam_router.reasons import Reasons
from devteam_router.routing import Routing, Wishes
from devteam_router.seats import TAKEN, Seat
from devteam_router.stations import Station
from devteam_router.telling import Telling


class Matcher:
    """Places runs at once where a worker is free, else has them wait; gives a slot that comes free to whoever is due.

    Nothing that waits could run: a run that comes looks for a worker, a slot that comes free looks for a run, and
    neither looks at everyone. Never awaits, so nothing changes between a decision and its charge.
    """

    def __init__(
        self,
        fleet: Fleet,
        lines: Lines,
        placer: Placer,
        gates: Gates,
        routing: Routing,
        lineup: Lineup,
        placed: Placed,
        clock: Clock,
    ) -> None:
        self._fleet = fleet
        self._lines = lines
        self._placer = placer
        self._gates = gates
        self._routing = routing
        self._lineup = lineup
        self._placed = placed
        self._clock = clock
        self._reasons = Reasons(fleet, routing)
        self._agendas = Agendas(lines)
        self._obstacles = Obstacles(fleet, placer, gates, routing, clock)
        self._holds = Holds(lines, clock, self._serve)
        self._telling = Telling(lines, placed, clock)

    def submit(self, run: Run, *, first: bool = False) -> None:
        """Place a run now, or put it in line behind its equals (before them when it had its turn already)."""
        now = self._clock.monotonic()
        run = self._refiled(run) if first else self._signed(run, self.of_tenant(run.signature, run.tenant))
        found = None
        if first or not self._lines.waits_with(run.signature):
            found = self.find(run.signature, now)
            if isinstance(found, Choice):
                self._served(found.seat.row.queue, run.tenant)
                self._assign(run, found, now)
                return
        line = self._lines.add(run, now, first=first)
        if line.wait is not None:
            self._telling.newcomer(line, run.id)
        elif found is not None:
            self._keep(line, found)
        else:
            # Its equals wait; but what they wait for may have come, where a loop is behind.
            self._serve([line])

    def withdraw(self, attempt: AttemptId) -> bool:
        """Take a run out of its line; False if it waits in none."""
        return self._lines.remove(attempt) is not None

    def refused(self, signature: Signature, worker_id: str) -> None:
        """Do not offer runs like this to that worker for now."""
        if station := self._fleet.station(worker_id):
            station.refuse(signature)

    def forgive(self, signature: Signature, worker_id: str) -> None:
        """Offer runs like this to that worker again."""
        if (station := self._fleet.station(worker_id)) and station.forgive(signature):
            self.slot_freed(worker_id)

    def slot_freed(self, worker_id: str) -> None:
        """A worker has a free slot, perhaps: give it what is due."""
        while (station := self._fleet.station(worker_id)) is not None and (due := self._due(station)) is not None:
            self._give(*due)

    def worker_changed(self, worker_id: str) -> None:
        """A worker is another than before, or its line opened or broke."""
        self._fleet.judge(worker_id)
        self._part_tenants()
        self.slot_freed(worker_id)
        self._reconsider()

    def throttle(self, model: str, seconds: float, reason: str) -> bool:
        """Start nothing of a model for so long; False if that was known."""
        if not self._gates.throttle(model, seconds, reason):
            return False
        for line in self._lines.of_model(model):
            self._serve([line])
        return True

    def reroute(self, wishes: Wishes) -> None:
        """Do as operators want from now on, with what waits, too."""
        self._routing.wish(wishes)
        self._gates.changed()
        self._holds.let_go()
        self._refile(self._lines)
        self._serve(self._lines)

    def of_tenant(self, signature: Signature, tenant: str) -> Signature:
        """The signature of a tenant's runs: its own only where workers tell, so that the others share theirs."""
        if tenant not in self._fleet.tenants or signature.tenant == tenant:
            return signature
        return _of_tenant(signature, tenant)

    def find(self, signature: Signature, since: float) -> Choice | Closed | Wait:
        """A worker for a run that has waited since then; or what keeps it waiting."""
        return self._obstacles.find(signature, since) or self._reasons.of(signature)

    def _serve(self, lines: Iterable[Line]) -> None:
        """Place what can be placed, over all these lines in the order in which it is due."""
        due = [(self._rank(line), line) for line in lines if len(line)]
        heapq.heapify(due)
        while due:
            rank, line = heapq.heappop(due)
            # What its tenant was given through another line counts here, too.
            current = rank == self._rank(line)
            if not current or (self._advanced(line) and len(line)):
                heapq.heappush(due, (self._rank(line), line))

    def _rank(self, line: Line) -> tuple[int, float, int]:
        head = line.head()
        assert head is not None
        return line.priority, self._lines.fairness.of(line.signature.queues[0]).had(line.tenant), head.arrival

    def _advanced(self, line: Line) -> bool:
        """Place the head, or let it go if it is too late for that; False when it has to wait."""
        head = line.head()
        assert head is not None
        found = self.find(line.signature, head.since)
        if not isinstance(found, Choice):
            self._keep(line, found)
            return False
        self._place(line, head, found)
        return True

    def _due(self, station: Station) -> tuple[Line, Seat] | None:
        """What a worker should run next, and in which of its seats: by priority, then by how long it has waited.

        In the first of its own queues that the worker has a seat in.
        """
        best: tuple[int, float, int, Line, Seat] | None = None
        for seat in station.seats:
            queue = seat.row.queue
            if seat.level == TAKEN or not self._lines.any_in(queue) or self._routing.paused(queue):
                continue
            agenda = self._agendas.of(station.kind.profile, queue)
            line = agenda.next(lambda line, seat=seat: self._admits(line, seat))  # type: ignore[misc]  # bound now
            if line is not None and (head := line.head()) is not None:
                entry = (line.priority, head.since, line.signature.queues.index(queue), line, seat)
                best = entry if best is None or entry[:3] < best[:3] else best
        return None if best is None else best[3:]

    def _admits(self, line: Line, seat: Seat) -> bool:
        head = line.head()
        assert head is not None
        obstacle = self._obstacles.between(line.signature, seat, head.since)
        if obstacle is not None:
            self._keep(line, obstacle)
        return obstacle is None and line.signature not in seat.station.refuses

    def _give(self, line: Line, seat: Seat) -> None:
        head = line.head()
        assert head is not None
        self._place(line, head, self._placer.offer(line.signature, seat))

    def _place(self, line: Line, head: Waiting, choice: Choice) -> None:
        run = head.run
        # Its timer may be due and not have fired yet: a loop that is behind must not hand out what nobody waits for.
        if self._placed.shed(run.id, self._clock.monotonic()):
            self._lines.remove(run.id)
            return
        self._served(choice.seat.row.queue, line.tenant)
        self._lines.remove(run.id)
        self._assign(run, choice, head.since)

    def _served(self, queue: str, tenant: str) -> None:
        if self._lines.competes(queue, tenant):
            self._lines.fairness.of(queue).serve(tenant)
        else:
            self._lines.fairness.direct(queue, tenant)

    def _assign(self, run: Run, choice: Choice, since: float) -> None:
        seat, signature = choice.seat, run.signature
        worker, queue = seat.station.worker, seat.row.queue
        self._placer.compare(choice, signature)
        self._placer.charge(run.id, seat)
        self._gates.passed(queue, signature.model)
        self._fleet.warmed(worker.id, signature.model)
        decision = self._decision(signature, choice, self._clock.monotonic() - since)
        self._placed.assigned(run, decision, choice)
        self._lineup.send(worker.instance, Assign(run, queue))

    def _decision(self, signature: Signature, choice: Choice, waited: float) -> Decision:
        queue, strategy = choice.seat.row.queue, choice.strategy
        why = strategy.because(signature, queue, choice.chosen(), choice.eligible)
        reason = f"placed on {choice.seat.station.worker.id} by {strategy.name} because {why}"
        return Decision(strategy.name, queue, reason, choice.eligible, waited, choice.tied)

    def _keep(self, line: Line, found: Choice | Closed | Wait) -> None:
        """Have a line wait, and tell its runs why if that is news."""
        assert not isinstance(found, Choice)
        if isinstance(found, Closed):
            self._holds.add(line, found)
        self._telling.everyone(line, found.wait if isinstance(found, Closed) else found)

    def _reconsider(self) -> None:
        """Where other workers are there than before, what kept runs waiting may be something else by now."""
        shifted, self._fleet.shifted = self._fleet.shifted, set()
        if shifted:
            self._serve(self._lines.looking_at(shifted))
        if self._fleet.receded:
            self._fleet.receded = False
            self._serve(self._holds.let_go(Nearness))

    def _part_tenants(self) -> None:
        """Runs of tenants that got workers of their own may go to those, too, from now on."""
        tenants, self._fleet.claimed = self._fleet.claimed, set()
        if tenants:
            self._refile(line for line in self._lines if line.tenant in tenants)
            self._serve(line for line in self._lines if line.tenant in tenants)

    def _refile(self, lines: Iterable[Line]) -> None:
        """Have runs wait where they would be put now, each in the place that it had."""
        misfiled = [waiting for line in lines for waiting in self._misfiled(line)]
        for waiting in sorted(misfiled, key=lambda waiting: waiting.arrival):
            self._lines.remove(waiting.run.id)
            self._lines.add(self._refiled(waiting.run), waiting.since, arrival=waiting.arrival)

    def _misfiled(self, line: Line) -> Iterable[Waiting]:
        return () if self._current(line.signature, line.tenant) == line.signature else line

    def _refiled(self, run: Run) -> Run:
        """The run, in the queues that hold now if it left their choice to the fleet's preferences."""
        return self._signed(run, self._current(run.signature, run.tenant))

    def _signed(self, run: Run, signature: Signature) -> Run:
        if signature == run.signature:
            return run
        run = replace(run, signature=signature)
        self._placed.refiled(run)
        return run

    def _current(self, signature: Signature, tenant: str) -> Signature:
        signature = self.of_tenant(signature, tenant)
        if not signature.preferred:
            return signature
        queues = self._routing.preferences.queues(signature.model, "", ())
        return signature if queues == signature.queues else replace(signature, queues=queues)


@lru_cache(maxsize=4_096)
def _of_tenant(signature: Signature, tenant: str) -> Signature:
    """The same object for equal parts, as with those that Planners name."""
    return replace(signature, tenant=tenant)
