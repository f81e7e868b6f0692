"""Queues as they are now."""

from dataclasses import dataclass

from devteam_router.domain import StrategyName
from devteam_router.filters import serves_tenant
from devteam_router.fleet import Fleet
from devteam_router.leases import Leases
from devteam_router.lines import Lines
from devteam_router.routing import Routing
from devteam_router.seats import Row
from devteam_router.stations import Kind


@dataclass(frozen=True, slots=True)
class QueueView:
    """One queue: what waits, what runs, and the room there is; `oldest_wait` in seconds."""

    name: str
    waiting: int
    running: int
    slots: int
    workers: int
    oldest_wait: float | None
    paused: bool = False
    strategy: StrategyName = StrategyName.LEAST_LOADED


class Queues:
    """Counts, each time anew, from lines, leases and fleet."""

    def __init__(self, fleet: Fleet, leases: Leases, lines: Lines, routing: Routing) -> None:
        self._fleet = fleet
        self._leases = leases
        self._lines = lines
        self._routing = routing

    def views(self, now: float, whose: str = "") -> list[QueueView]:
        """Every queue that somebody serves, waits in, runs out of, or paused, by name; `now` on the monotonic clock.

        For one tenant (not ""): those that workers serve which it may see, or that a run of its own waits for.
        """
        running = self._leases.running()
        paused = {name for name, policy in self._routing.wishes.queues.items() if policy.paused}
        names = self._fleet.queues() | self._lines.queues() | running.keys() | paused
        return [self._view(name, running[name], now, whose) for name in sorted(names) if self._exists(name, whose)]

    def _exists(self, name: str, whose: str) -> bool:
        if not whose or self._lines.competes(name, whose):
            return True
        return any(kind.stations for kind, _ in self._rows(name, whose))

    def _rows(self, name: str, whose: str) -> list[tuple[Kind, Row]]:
        rows = self._fleet.rows(name).entries
        return [entry for entry in rows if serves_tenant(entry[0].worker, whose)] if whose else rows

    def _view(self, name: str, running: int, now: float, whose: str) -> QueueView:
        since = self._lines.oldest_in(name)
        rows = self._rows(name, whose)
        return QueueView(
            name,
            waiting=self._lines.waiting_in(name),
            running=running,
            slots=sum(kind.open * row.limit for kind, row in rows),
            workers=sum(len(kind.stations) for kind, _ in rows),
            oldest_wait=None if since is None else now - since,
            paused=self._routing.paused(name),
            strategy=self._routing.strategy(name),
        )
