"""What a client tells those who look on: all tasks and all workers, as they are and as they change."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from devteam.connection import Connection
from devteam.events import Interrupted
from devteam.lookouts import TaskLookout, WorkerLookout
from devteam.mesh.clock import Clock
from devteam.reconnecting import reconnected
from devteam.sightings import TasksSeen, WorkersSeen
from devteam.v1 import planner_pb2, registry_pb2


class OnlookerCalls(ABC):
    """The part of a client that looks on. Its watches never end by themselves."""

    _clock: Clock
    _patience: float

    @property
    @abstractmethod
    def _mesh(self) -> Connection:
        """The line to the mesh."""

    async def watch_tasks(
        self, *, since: datetime | None = None, progress: bool = False
    ) -> AsyncGenerator[TasksSeen, None]:
        """All tasks that have not ended, then every task that changes, as it is after the change.

        Prompts and outputs are left out; `get_task` has them. With `since` also what has changed from then on, ended
        tasks included: at most 1,000 of those, the newest. Changes that follow each other closely come as one. With
        `progress` it says about every second how many tokens running tasks have.

        Goes on by itself when the connection breaks, see TasksSeen. Raises InvalidInput for a `since` in the future.
        """
        lookout = TaskLookout(since)

        async def connect() -> AsyncGenerator[TasksSeen, None]:
            request = planner_pb2.WatchTasksRequest(since=_timestamp(lookout.begin()), progress=progress)
            async with aclosing(self._mesh.responses(self._mesh.planner.WatchTasks(request))) as responses:
                async for response in responses:
                    yield lookout.seen(response, self._clock.now())

        async with aclosing(reconnected(connect, self._clock, self._patience)) as seen:
            async for item in seen:
                yield TasksSeen(interrupted=item.reason) if isinstance(item, Interrupted) else item

    async def watch_workers(self) -> AsyncGenerator[WorkersSeen, None]:
        """All workers, then every one that changes or leaves, and how operators want tasks to be placed.

        Goes on by itself when the connection breaks, see WorkersSeen.
        """
        lookout = WorkerLookout()

        async def connect() -> AsyncGenerator[WorkersSeen, None]:
            lookout.begin()
            call = self._mesh.registry.WatchWorkers(registry_pb2.WatchWorkersRequest())
            async with aclosing(self._mesh.responses(call)) as responses:
                async for response in responses:
                    if (seen := lookout.seen(response)) is not None:
                        yield seen

        async with aclosing(reconnected(connect, self._clock, self._patience)) as seen:
            async for item in seen:
                yield WorkersSeen(interrupted=item.reason) if isinstance(item, Interrupted) else item


def _timestamp(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    timestamp = Timestamp()
    timestamp.FromDatetime(moment)
    return timestamp
