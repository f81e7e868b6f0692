"""Workers and routing remembered for as long as the process lives."""

from collections.abc import Sequence

from devteam_registry.domain import Worker
from devteam_registry.routing import Routing


class MemoryWorkerStore:
    """A WorkerStore without a disk."""

    def __init__(self) -> None:
        self._workers: dict[str, Worker] = {}

    async def load_all(self) -> list[Worker]:
        """Every worker, in the order of their ids."""
        return [self._workers[worker_id] for worker_id in sorted(self._workers)]

    async def save_many(self, workers: Sequence[Worker]) -> None:
        """Insert or replace all of these."""
        self._workers.update((worker.worker_id, worker) for worker in workers)

    async def delete_many(self, worker_ids: Sequence[str]) -> None:
        """Forget all of these."""
        for worker_id in worker_ids:
            self._workers.pop(worker_id, None)


class MemoryRoutingStore:
    """A RoutingStore without a disk."""

    def __init__(self) -> None:
        self._routing = Routing()

    async def load(self) -> Routing:
        """The routing as it was saved last."""
        return self._routing

    async def save(self, routing: Routing) -> None:
        """Replace the whole of it."""
        self._routing = routing
