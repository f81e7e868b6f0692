"""What goes on in a mesh, put on a board: one watch for all who look, and none while nobody does."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from datetime import datetime, timedelta
from typing import Protocol, TypeAlias

from devteam.mesh.clock import Clock
from devteam.mesh.errors import DevTeamError
from devteam.mesh.tasks import Backoff
from devteam.models import QueueInfo, TaskState, Throttle, Workers
from devteam.sightings import TasksSeen, WorkersSeen
from devteam.standing import ServiceStatus
from devteam_cli.failures import advice_on
from devteam_cli.output import plain
from devteam_cli.page.board import Board, Content
from devteam_cli.page.content import queue_content, service_content, throttle_content, worker_content
from devteam_cli.page.crowd import Crowd
from devteam_cli.page.pace import Pace
from devteam_cli.page.untraced import untraced

_QUEUES_EVERY = 1.0
_SERVICES_EVERY = 10.0
# A page that is loaded again is away for a moment.
_LINGER = 5.0
# What has to be known before a viewer is told that there is nothing.
_SHOWN_WHOLE = {"workers", "tasks", "queues"}
# What ended so long ago, at most, is shown among what ends now.
_RECENT = timedelta(minutes=10)

# Takes its name, and the backoff to reset with everything that is told; comes to an end only by an error.
_Source: TypeAlias = Callable[[str, Backoff], Awaitable[None]]


class Watched(Protocol):
    """A mesh, as far as one looks at it; see DevTeamClient."""

    def watch_workers(self) -> AsyncGenerator[WorkersSeen, None]:
        """All workers, then what changes."""

    def watch_tasks(self, *, since: datetime | None = None, progress: bool = False) -> AsyncGenerator[TasksSeen, None]:
        """All tasks that have not ended, then what changes."""

    async def list_queues(self) -> list[QueueInfo]:
        """All queues."""

    async def list_throttles(self) -> list[Throttle]:
        """The models that are kept waiting."""

    async def get_workers(self) -> Workers:
        """All workers, with what concerns them all."""

    async def get_status(self) -> tuple[ServiceStatus, ...]:
        """How every service stands."""


class Feed:
    """Keeps a board up to date while somebody looks at it; `run` it beside the page's server.

    What goes wrong is on the board too, under "trouble", until it is over.
    """

    def __init__(self, mesh: Watched, board: Board, clock: Clock) -> None:
        self.board = board
        self._mesh = mesh
        self._clock = clock
        self._crowd = Crowd(board)
        self._pace = Pace()
        self._sources: Mapping[str, _Source] = {
            "workers": self._workers,
            "tasks": self._tasks,
            "queues": self._queues,
            "services": self._services,
        }
        self._complete_sources: set[str] = set()
        self._viewers = 0
        self._looked_at = asyncio.Event()
        self._left = asyncio.Event()

    @contextmanager
    def viewer(self) -> Iterator[Board]:
        """Somebody looks, for as long as the block runs."""
        self._viewers += 1
        self._looked_at.set()
        try:
            yield self.board
        finally:
            self._viewers -= 1
            if not self._viewers:
                self._looked_at.clear()
                self._left.set()

    async def run(self) -> None:
        """Watch the mesh whenever somebody looks, for ever. Raises only what is a defect."""
        while True:
            await self._looked_at.wait()
            with untraced():
                await self._watch()
            self._crowd.clear()
            self._complete_sources.clear()
            self.board.clear()

    async def _watch(self) -> None:
        """Watch until nobody has looked for a while."""
        async with asyncio.TaskGroup() as group:
            watching = [
                group.create_task(self._again_and_again(name, source)) for name, source in self._sources.items()
            ]
            await self._abandoned()
            for task in watching:
                task.cancel()

    async def _abandoned(self) -> None:
        while True:
            self._left.clear()
            await self._left.wait()
            await self._clock.sleep(_LINGER)
            if not self._viewers:
                return

    async def _again_and_again(self, name: str, source: _Source) -> None:
        backoff = Backoff(self._clock)
        while True:
            try:
                await source(name, backoff)
            except DevTeamError as error:
                self._trouble(name, error.message, advice_on(error))
            await backoff.pause()

    async def _workers(self, name: str, backoff: Backoff) -> None:
        async with aclosing(self._mesh.watch_workers()) as sightings:
            async for seen in sightings:
                if self._told(name, seen.interrupted, backoff):
                    self._show_workers(seen)
                    self._complete(name, is_whole=seen.current)

    def _show_workers(self, seen: WorkersSeen) -> None:
        for worker in seen.workers:
            self.board.put("workers", worker.id, worker_content(worker))
        for worker_id in seen.removed:
            self.board.drop("workers", worker_id)

    async def _tasks(self, name: str, backoff: Backoff) -> None:
        async with aclosing(self._mesh.watch_tasks(since=self._clock.now() - _RECENT, progress=True)) as sightings:
            async for seen in sightings:
                if self._told(name, seen.interrupted, backoff):
                    self._show_tasks(seen)
                    self._complete(name, is_whole=seen.current)

    def _show_tasks(self, seen: TasksSeen) -> None:
        self._crowd.tell(seen.tasks, seen.removed)
        now = self._clock.monotonic()
        for task in seen.tasks:
            if task.state.ended:
                self._pace.forget(task.id)
                self.board.drop("pace", task.id)
            elif task.state is TaskState.RUNNING and "tasks" in self._complete_sources:
                self._pace.began(task.id, task.attempt, now)
        for one in seen.progress:
            rate = round(self._pace.seen(one.task_id, one.attempt, one.tokens, now), 1)
            at = plain(self._clock.now())
            self.board.put("pace", one.task_id, {"attempt": one.attempt, "tokens": one.tokens, "rate": rate, "at": at})

    async def _queues(self, name: str, backoff: Backoff) -> None:
        while True:
            queues, throttles = await asyncio.gather(self._mesh.list_queues(), self._mesh.list_throttles())
            self._told(name, "", backoff)
            self._replace("queues", {queue.name: queue_content(queue) for queue in queues})
            self._replace("throttles", {throttle.model: throttle_content(throttle) for throttle in throttles})
            self._complete(name, is_whole=True)
            await self._clock.sleep(_QUEUES_EVERY)

    async def _services(self, name: str, backoff: Backoff) -> None:
        while True:
            services, workers = await asyncio.gather(self._mesh.get_status(), self._mesh.get_workers())
            self._told(name, "", backoff)
            self._replace("services", {service.name: service_content(service) for service in services})
            self.board.put("mesh", "notice", {"text": workers.notice})
            await self._clock.sleep(_SERVICES_EVERY)

    def _replace(self, kind: str, contents: Mapping[str, Content]) -> None:
        for gone in self.board.ids(kind) - contents.keys():
            self.board.drop(kind, gone)
        for thing_id, content in contents.items():
            self.board.put(kind, thing_id, content)

    def _told(self, name: str, interrupted: str, backoff: Backoff) -> bool:
        """Whether a source tells anything but that it is cut off for now."""
        if interrupted:
            self._trouble(name, interrupted, "")
            return False
        backoff.reset()
        self.board.drop("trouble", name)
        return True

    def _complete(self, name: str, *, is_whole: bool) -> None:
        """Note that a source has told all there is. Before all have, that something is not there means nothing."""
        if is_whole:
            self._complete_sources.add(name)
        if self._complete_sources >= _SHOWN_WHOLE:
            self.board.put("mesh", "whole", {})

    def _trouble(self, name: str, error: str, advice: str) -> None:
        self.board.put("trouble", name, {"error": error, "advice": advice})
