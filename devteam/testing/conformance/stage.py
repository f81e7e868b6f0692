"""What scenes play on: a mesh made for the purpose, and the worker."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial

from devteam.mesh.clock import Clock
from devteam.mesh.errors import Unavailable
from devteam.mesh.ids import Ids
from devteam.testing.conformance.attempt import Attempt
from devteam.testing.conformance.launch import Launcher
from devteam.testing.conformance.line import AttemptId, Line, Policy
from devteam.testing.conformance.news import News
from devteam.testing.conformance.registry import ConformanceRegistry, Wishes, slots_of
from devteam.testing.conformance.router import ConformanceRouter
from devteam.testing.conformance.server import Server
from devteam.testing.conformance.verdict import Missed
from devteam.v1 import registry_pb2, registry_pb2_grpc, run_pb2, worker_pb2, worker_pb2_grpc

QUEUE = "conformance"
MODEL = "sim"
# Options of a run that outlasts its scene: 20 tokens a second for more than an hour.
LONG: Mapping[str, float] = {"tokens": 100_000, "tokens_per_second": 20}
# For a person to start a program.
_BY_HAND = 300.0
_START = 30.0
# Between two looks whether that program has ended.
_LOOK_AGAIN = 0.25


class Stage:
    """The mesh, and the worker. `patience` is what it gets for what has no bound, in seconds."""

    def __init__(self, host: str, port: int, clock: Clock, ids: Ids, *, patience: float) -> None:
        self.patience = patience
        self.news = News()
        self.registry = ConformanceRegistry(self.news, clock)
        self.router = ConformanceRouter(self.news, clock)
        self.clock = clock
        # A scene failed: who knows what the worker still does.
        self.spoiled = False
        self.launcher: Launcher | None = None
        self._ids = ids
        self._host = host
        self._attempts: list[Attempt] = []
        mount_registry = partial(registry_pb2_grpc.add_RegistryServiceServicer_to_server, self.registry)
        self.server = Server(host, port, ids, mount_registry, self._mount(self.router))

    @property
    def spec(self) -> registry_pb2.WorkerSpec:
        """What the worker declared last."""
        return self.registry.registrations[-1].spec

    @property
    def slots(self) -> int:
        """How many runs of the suite's queue it takes at a time."""
        of_queue = (queue.concurrency for queue in self.spec.queues if queue.name == QUEUE)
        return min(slots_of(self.spec), next(of_queue, 0))

    @property
    def begins_anew(self) -> bool:
        """Whether the next scene gets another worker."""
        return self.spoiled and self.launcher is not None and not self.launcher.by_hand

    @property
    def had_worker(self) -> bool:
        """Whether its command has brought a worker before: that none came this time is one scene's matter."""
        return bool(self.registry.registrations) and self.launcher is not None and not self.launcher.by_hand

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Be served for as long as the block runs. Raises FailedPrecondition when the port is taken."""
        await self.server.start()
        self.registry.router_addresses = [self.server.url]
        try:
            yield
        finally:
            await self.server.stop()

    async def until(self, ready: Callable[[], bool], missed: str, within: float | None = None) -> None:
        """Wait until it is so. Raises Missed with this sentence."""
        if not await self.news.until(ready, self.patience if within is None else within):
            raise Missed(missed)

    def complaints(self) -> list[str]:
        """What the worker did on its streams that it must never do, since this was asked last."""
        complaints = list(dict.fromkeys(self.router.complaints))
        self.router.complaints.clear()
        return complaints

    async def line(self) -> Line:
        """The worker's stream, with nothing in hand; starts the worker where there is none.

        Raises Missed, or Unavailable when no worker comes.
        """
        if self.begins_anew:
            await self.restart()
        elif not self.registry.session:
            await self._start()
        return await self.next_line(None)

    async def next_line(self, before: Line | None, within: float | None = None) -> Line:
        """The stream after this one. Raises Missed."""
        seconds = self.patience if within is None else within
        missed = f"no new stream came within {seconds:g} s"
        await self.until(lambda: self.router.line not in {None, before}, missed, seconds)
        assert self.router.line is not None
        return self.router.line

    async def cut(self, line: Line, error: Exception | None = None, policy: Policy | None = None) -> Line:
        """Break the stream; the worker's next one, with another policy if that is given. Raises Missed."""
        self.router.policy = policy or self.router.policy
        line.cut(error)
        return await self.next_line(line)

    async def restart(self) -> None:
        """End the worker, and start it. Raises Unavailable when none comes."""
        assert self.launcher is not None
        if not self.launcher.by_hand:
            await self.launcher.stop()
        elif self.registry.session:
            self.registry.wishes = Wishes(drain_deadline=0)
            await self.until(lambda: not self.registry.session, "it did not leave when it was told to drain")
        self._attempts.clear()
        self.registry.wishes = Wishes()
        self.registry.forget()
        await self._start()

    def assign(
        self,
        line: Line,
        options: Mapping[str, float],
        *,
        prompt: str = "What is new?",
        queue: str = QUEUE,
        model: str = MODEL,
    ) -> Attempt:
        """Give the worker a run."""
        run = run_pb2.Run(task_id=self._ids.new("t"), attempt=2, prompt=prompt, model=model)
        run.generation.options.update(options)
        line.say(worker_pb2.ConnectResponse(assign=worker_pb2.Assign(run=run, queue=queue)))
        return self.follow(AttemptId(run.task_id, run.attempt), line)

    def follow(self, attempt: AttemptId, line: Line) -> Attempt:
        """An attempt that was assigned on this stream."""
        self._attempts.append(Attempt(attempt, line, self.patience))
        return self._attempts[-1]

    async def begin(self, line: Line, options: Mapping[str, float] = LONG, *, until: int = 0) -> Attempt:
        """A run that is under way, and has said so many tokens. Raises Missed or Skipped."""
        attempt = self.assign(line, options)
        await attempt.accepted()
        await attempt.hear(until)
        return attempt

    async def small_talk(self, line: Line) -> None:
        """A whole run: what the worker was about to say before that, it has said. Raises Missed."""
        attempt = self.assign(line, {"tokens": 3, "tokens_per_second": 0})
        await attempt.accepted()
        await attempt.finished()
        attempt.close()

    async def clear(self) -> None:
        """Stop what runs, and want nothing special any more."""
        attempts, self._attempts = self._attempts, []
        try:
            for attempt in attempts:
                if not attempt.closed and self.registry.session and not self.begins_anew:
                    await self._let_go(attempt)
                if attempt.line is not self.router.line and not attempt.line.over:
                    # The other Router goes at once, and its last word would go with it.
                    await attempt.forgotten()
        except Missed:
            self.spoiled = True
        self.registry.wishes = Wishes()
        self.registry.router_addresses = [self.server.url]
        self.router.refusing = None
        if self.router.policy != Policy():
            self.router.policy = Policy()
            if self.router.line is not None:
                self.router.line.cut()

    @asynccontextmanager
    async def second_router(self) -> AsyncIterator[ConformanceRouter]:
        """Another Router, which the worker is told of."""
        router = ConformanceRouter(self.news, self.clock)
        server = Server(self._host, 0, self._ids, self._mount(router))
        await server.start()
        self.registry.router_addresses = [self.server.url, server.url]
        try:
            yield router
        finally:
            await self.clear()
            await server.stop()

    async def _start(self) -> None:
        assert self.launcher is not None
        self.spoiled = False
        await self.launcher.start()
        within = _BY_HAND if self.launcher.by_hand else _START
        end = self.clock.monotonic() + within
        while not await self.news.until(lambda: bool(self.registry.session), _LOOK_AGAIN):
            if self.launcher.gone:
                raise self._no_worker("the worker's program ended before it registered")
            if self.clock.monotonic() > end:
                raise self._no_worker(f"no worker registered at {self.server.url} within {within:g} s")

    def _no_worker(self, what: str) -> Unavailable:
        traces = self.launcher.traces if self.launcher else ""
        return Unavailable(f"{what}{traces}", reason="NO_WORKER")

    async def _let_go(self, attempt: Attempt) -> None:
        if attempt.line.over:
            line = await self.next_line(None)
            if line.names(attempt.id) is None:
                return
            attempt.line = line
        attempt.line.cancel(attempt.id)
        await attempt.given_up()

    def _mount(self, router: ConformanceRouter) -> "partial[None]":
        return partial(worker_pb2_grpc.add_WorkerServiceServicer_to_server, router)
