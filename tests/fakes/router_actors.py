"""Workers and planners that keep their side of the contract, for tests that play with the order of events."""

from dataclasses import dataclass

from devteam_router.dispatch import AssignedTo, End, Event, NeverRan, Reported, TokenBatch, WasLost
from devteam_router.domain import AttemptId, Run, Worker, WorkerInstance
from devteam_router.frames import Assign, Cancel, CancelReason, Frame, ReportAck, Resume

from tests.fakes.router_bench import PlannerEnd, RouterBench, WorkerEnd, in_hand


@dataclass(slots=True, eq=False)
class Generation:
    """An attempt in a worker's hand. Every start of a model is one of its own: it is the payload of all it says."""

    id: AttemptId
    worker: WorkerInstance
    queue: str
    said: int = 0
    ended: bool = False
    # After a reconnect, until the Router says where to go on.
    silent: bool = False


class WorkerActor:
    """Answers what it hears as the contract wants it. What it starts and says, and when, is up to the test."""

    def __init__(self, bench: RouterBench, worker: Worker) -> None:
        self.worker = worker
        self.end: WorkerEnd | None = None
        self.offered: list[Assign] = []
        self.hand: dict[AttemptId, Generation] = {}
        self._bench = bench

    def attach(self) -> None:
        """Connect, with everything in hand."""
        for generation in self.hand.values():
            generation.silent = True
        self.offered.clear()
        items = [
            in_hand(item.id.task_id, attempt=item.id.number, queue=item.queue, ended=item.ended)
            for item in self.hand.values()
        ]
        self.end = self._bench.attach(self.worker.instance, *items)

    def claim(self, attempt: AttemptId, queue: str) -> None:
        """Run an attempt that nobody here was told to run, from the next attach on."""
        self.hand.setdefault(attempt, Generation(attempt, self.worker.instance, queue, silent=True))

    def hang_up(self) -> None:
        """The line breaks; what was not heard is never heard."""
        if self.end is not None:
            self.end.hang_up()
        self.end = None
        self.offered.clear()

    def listen(self) -> None:
        """Hear what was said and do it."""
        for frame in self.end.heard() if self.end is not None else ():
            self._obey(frame)

    def accept(self) -> None:
        """Start the oldest run on offer."""
        if self.offered and self.end is not None:
            assign = self.offered.pop(0)
            self.hand[assign.run.id] = Generation(assign.run.id, self.worker.instance, assign.queue)
            self.end.accept(assign.run.id.task_id, attempt=assign.run.id.number)

    def reject(self) -> None:
        """Refuse the oldest run on offer."""
        if self.offered and self.end is not None:
            attempt = self.offered.pop(0).run.id
            self.end.reject(attempt.task_id, attempt.number)

    def release(self, generation: Generation) -> None:
        """Another Router goes on with it."""
        del self.hand[generation.id]
        if self.end is not None:
            self.end.release(generation.id.task_id, generation.id.number)

    def will_speak_of(self, attempt: AttemptId) -> bool:
        """Whether it has the run, or will hear of it."""
        on_the_way = self.end.unheard() if self.end is not None else []
        offered = [frame for frame in [*on_the_way, *self.offered] if isinstance(frame, Assign)]
        return attempt in self.hand or any(frame.run.id == attempt for frame in offered)

    def generate(self, generation: Generation, tokens: int) -> None:
        """The model says something more."""
        generation.said += tokens
        self._say(generation, generation.said - tokens)

    def finish(self, generation: Generation) -> None:
        """The model comes to its end, or is stopped."""
        generation.ended = True
        self._report(generation)

    def _obey(self, frame: Frame) -> None:
        match frame:
            case Assign(run):
                assert run.id not in self.hand, f"{run.id} was assigned to a worker that runs it"
                self.offered.append(frame)
            case Cancel(attempt, reason):
                self._stop(attempt, reason)
            case Resume(attempt, after_seq) if generation := self.hand.get(attempt):
                generation.silent = False
                self._say(generation, after_seq)
                if generation.ended:
                    self._report(generation)
            case Resume(attempt) if self.end is not None:
                self.end.release(attempt.task_id, attempt.number)
            case ReportAck(attempt):
                self.hand.pop(attempt, None)

    def _stop(self, attempt: AttemptId, reason: CancelReason) -> None:
        while any(assign.run.id == attempt for assign in self.offered):
            self.accept()
        generation = self.hand.get(attempt)
        if generation is None:
            return
        if generation.ended and reason is CancelReason.FENCED:
            del self.hand[attempt]
        else:
            generation.silent = False
            self.finish(generation)

    def _say(self, generation: Generation, after: int) -> None:
        if self.end is not None and not generation.silent and generation.said > after:
            batch = TokenBatch(after + 1, generation.said, 10, generation)
            self._bench.core.workers.tokens(self.end.link, generation.id, batch)

    def _report(self, generation: Generation) -> None:
        if self.end is not None and not generation.silent:
            self.end.report(generation.id.task_id, generation.said, attempt=generation.id.number)


class PlannerActor:
    """Stores what it hears of one attempt, and insists that it makes sense."""

    def __init__(self, bench: RouterBench, run: Run) -> None:
        self.run = run
        self.stored = 0
        self.outcome: End | None = None
        self.call: PlannerEnd | None = None
        self._bench = bench
        self._assigned: WorkerInstance | None = None
        self._generation: Generation | None = None
        self._heard = 0
        # Its process is gone, and nobody has noticed: what it hears is stored nowhere.
        self.deaf = False

    async def call_router(self, *, leaves: bool = True) -> None:
        """Dispatch, or dispatch again after the last token that is stored; perhaps while the old call is open."""
        if leaves:
            await self.leave()
        self.listen()
        if self.outcome is not None:
            return
        self._heard, self.deaf = 0, False
        self.call = await self._bench.dispatch(self.run, last_seq=self.stored, assigned=self._assigned)

    async def leave(self) -> None:
        """Break the call; whatever was heard is stored, unless it is deaf."""
        self.listen()
        if self.call is not None:
            await self.call.leave()
        self.call = None

    def listen(self) -> None:
        """Store what was heard."""
        if self.call is not None and not self.deaf:
            news = self.call.events[self._heard :]
            self._heard += len(news)
            for event in news:
                self._store(event)

    @property
    def told(self) -> int:
        """How many events the Router has sent on the call that is open."""
        return len(self.call.events) if self.call is not None else 0

    @property
    def unplaced(self) -> bool:
        """Whether it knows of no worker that could have begun."""
        return self._assigned is None and self.outcome is None

    def acknowledge(self) -> None:
        """Say what is stored."""
        attempt = self.run.id
        self._bench.acknowledge(
            attempt.task_id, self.stored, attempt=attempt.number, report=isinstance(self.outcome, Reported)
        )

    def _store(self, event: Event) -> None:
        assert self.outcome is None, f"{event} came after the end"
        match event:
            case AssignedTo(worker):
                self._assigned = worker
            case TokenBatch(first_seq, last_seq, _, Generation() as generation):
                assert first_seq == self.stored + 1, f"{event} came after token {self.stored}"
                assert generation.id == self.run.id, f"{event} is of another attempt"
                assert generation.worker == self._assigned, f"{event} is not from the worker that has it"
                assert self._generation in {None, generation}, f"{event} is of another generation"
                self.stored, self._generation = last_seq, generation
            case Reported() | NeverRan() | WasLost():
                self.outcome = event
