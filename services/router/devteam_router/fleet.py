"""The workers, as the Registry last described them, and what filters make of them."""

from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from fnmatch import fnmatchcase

from devteam_router.domain import Availability, Requirements, Signature, Worker, WorkerQueue, WorkerState


class Fleet:
    """Workers by id and by queue.

    `on_change` is told every worker that is new, different or gone, and the queues that it serves or served.
    """

    def __init__(self, on_change: Callable[[str, AbstractSet[str]], None]) -> None:
        self._on_change = on_change
        self._workers: dict[str, Worker] = {}
        self._by_queue: dict[str, dict[str, Worker]] = {}

    def put(self, worker: Worker) -> None:
        """Take in a new or changed worker."""
        served = self._forget(worker.id) or frozenset()
        self._workers[worker.id] = worker
        for queue in worker.queues:
            self._by_queue.setdefault(queue, {})[worker.id] = worker
        self._on_change(worker.id, served | worker.queues.keys())

    def remove(self, worker_id: str) -> None:
        """Drop a worker that the Registry no longer knows."""
        served = self._forget(worker_id)
        if served is not None:
            self._on_change(worker_id, served)

    def keep_only(self, worker_ids: Iterable[str]) -> None:
        """Drop everyone whom a complete snapshot did not name."""
        for gone in self._workers.keys() - set(worker_ids):
            self.remove(gone)

    def get(self, worker_id: str) -> Worker | None:
        """The worker of that id."""
        return self._workers.get(worker_id)

    def serving(self, queue: str) -> list[Worker]:
        """Workers that serve a queue, in the order in which they came."""
        return list(self._by_queue.get(queue, {}).values())

    def queues(self) -> set[str]:
        """Queues that at least one worker serves."""
        return set(self._by_queue)

    def __iter__(self) -> Iterator[Worker]:
        return iter(self._workers.values())

    def _forget(self, worker_id: str) -> AbstractSet[str] | None:
        worker = self._workers.pop(worker_id, None)
        if worker is None:
            return None
        for queue in worker.queues:
            del self._by_queue[queue][worker_id]
            if not self._by_queue[queue]:
                del self._by_queue[queue]
        return worker.queues.keys()


def serves_model(queue: WorkerQueue, model: str) -> bool:
    """Whether a worker runs this model for this queue."""
    return not queue.models or any(fnmatchcase(model, pattern) for pattern in queue.models)


def unmet(worker: Worker, signature: Signature) -> str:
    """The first requirement that a worker does not meet, in words; empty when it meets them all."""
    wants: Requirements = signature.requirements
    has = worker.resources
    checks = (
        (wants.gpu and not has.gpu, "has no GPU"),
        (wants.gpu_model.lower() not in has.gpu_model.lower(), f"has no {wants.gpu_model}"),
        (has.ram_gb < wants.min_ram_gb, f"has {has.ram_gb:g} GB of memory, {wants.min_ram_gb:g} are required"),
        (has.cpu_cores < wants.min_cpu_cores, f"has {has.cpu_cores} cores, {wants.min_cpu_cores} are required"),
        *((worker.labels.get(key) != value, f"does not carry the label {key}={value}") for key, value in wants.labels),
        *((tool not in worker.tools, f"does not offer the tool {tool}") for tool in signature.tools),
    )
    return next((words for missing, words in checks if missing), "")


def unavailable(worker: Worker, *, connected: bool) -> str:
    """Why a worker takes no new work at all, in words; empty when it does."""
    # SUSPECT is the Registry's word for a broken line, of which this Router knows more than the Registry.
    if worker.state not in {WorkerState.HEALTHY, WorkerState.SUSPECT}:
        return f"is {worker.state}"
    if worker.availability is not Availability.OPEN:
        return f"is {worker.availability}"
    return "" if connected else "is not connected to this router"
