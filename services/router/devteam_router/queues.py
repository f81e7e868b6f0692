"""Queues as they are now."""

from dataclasses import dataclass

from devteam.mesh.errors import NotFound
from devteam_router.domain import Worker
from devteam_router.fleet import Fleet, unavailable
from devteam_router.leases import Leases
from devteam_router.lines import Lines
from devteam_router.ports import Lineup


@dataclass(frozen=True, slots=True)
class QueueView:
    """One queue: what waits, what runs, and the room there is; `oldest_wait` in seconds."""

    name: str
    waiting: int
    running: int
    slots: int
    workers: int
    oldest_wait: float | None


class Queues:
    """Counts, each time anew, from lines, leases and fleet."""

    def __init__(self, fleet: Fleet, leases: Leases, lines: Lines, lineup: Lineup) -> None:
        self._fleet = fleet
        self._leases = leases
        self._lines = lines
        self._lineup = lineup

    def names(self) -> list[str]:
        """Every queue that somebody serves, waits in, or runs out of."""
        return sorted(self._fleet.queues() | self._lines.queues() | self._leases.queues())

    def view(self, name: str, now: float) -> QueueView:
        """One queue; `now` on the monotonic clock. Raises NotFound."""
        if name not in self.names():
            raise NotFound("queue", name, message=f"no worker serves a queue named {name!r} and nothing waits in it")
        waiting = self._lines.in_queue(name)
        serving = self._fleet.serving(name)
        return QueueView(
            name,
            waiting=len(waiting),
            running=self._leases.running(name),
            slots=sum(min(w.queues[name].concurrency, w.concurrency) for w in serving if self._open(w)),
            workers=len(serving),
            oldest_wait=max((now - entry.since for entry in waiting), default=None),
        )

    def _open(self, worker: Worker) -> bool:
        return not unavailable(worker, connected=self._lineup.connected(worker.instance))
