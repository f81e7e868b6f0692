"""The workers that are on the line now."""

import asyncio

from devteam.mesh.errors import Aborted, DevTeamError
from devteam_router.domain import WorkerInstance
from devteam_router.frames import Frame, Slots
from devteam_router.link import Link


class Links:
    """The open streams, one a worker: the newer one wins."""

    def __init__(self) -> None:
        self._links: dict[str, Link] = {}

    def open(self, worker: WorkerInstance) -> Link:
        """A link for this instance; an older one of the same worker is closed with SESSION_SUPERSEDED."""
        self.close(worker.worker_id, Aborted("the worker attached anew", reason="SESSION_SUPERSEDED"))
        self._links[worker.worker_id] = link = Link(worker)
        return link

    def tell_slots(self, worker: WorkerInstance, concurrency: int) -> None:
        """Say how many slots operators want of a worker, if it was told something else."""
        link = self._links.get(worker.worker_id)
        if link is not None and link.worker == worker and link.slots != concurrency:
            link.slots = concurrency
            link.send(Slots(concurrency))

    def drop(self, link: Link) -> bool:
        """Take a link that ended off the list; False if a newer one stands there."""
        if self._links.get(link.worker.worker_id) is not link:
            return False
        del self._links[link.worker.worker_id]
        return True

    def close(self, worker_id: str, error: DevTeamError) -> None:
        """End a worker's stream, if it has one."""
        if link := self._links.pop(worker_id, None):
            link.close(error)

    def connected(self, worker: WorkerInstance) -> bool:
        """Whether this instance has an open stream."""
        link = self._links.get(worker.worker_id)
        return link is not None and link.worker == worker

    def send(self, worker: WorkerInstance, frame: Frame) -> bool:
        """Put a frame on the instance's stream; False when it has none."""
        if not self.connected(worker):
            return False
        self._links[worker.worker_id].send(frame)
        return True

    def __len__(self) -> int:
        return len(self._links)

    async def broadcast(self, frame: Frame) -> None:
        """Put a frame on every stream, and return once it is out."""
        links = list(self._links.values())
        for link in links:
            link.send(frame)
        await asyncio.gather(*(link.flushed() for link in links))
