"""The workers, as the Registry last described them, each at its station."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from devteam_router.domain import Signature, Worker, WorkerInstance
from devteam_router.filters import serves_tenant
from devteam_router.kinds import Kinds, Rows
from devteam_router.leases import Leases
from devteam_router.ports import Lineup
from devteam_router.seats import TAKEN
from devteam_router.sources import Sources
from devteam_router.stations import Profile, Station


class Fleet:
    """Workers by id and by queue.

    `on_change` is told the id of every worker that is new, different or gone.
    """

    def __init__(self, leases: Leases, lineup: Lineup, on_change: Callable[[str], None]) -> None:
        self._leases = leases
        self._lineup = lineup
        self._on_change = on_change
        self._stations: dict[str, Station] = {}
        self._by_queue: dict[str, dict[str, Station]] = {}
        self._by_host: dict[str, dict[str, None]] = {}
        self._resting: set[str] = set()
        self.sources = Sources()
        self._kinds = Kinds(self.sources)
        # Counts what is given out, over the whole fleet.
        self.turns = itertools.count(1)
        # Queues in which the reasons to wait may be other ones by now.
        self.shifted: set[str] = set()
        # Whether somebody who was near may be so no longer, or takes no work.
        self.receded = False
        # Tenants that have, or had, workers of their own: only their runs are told apart. And those that are new.
        self.tenants: set[str] = set()
        self.claimed: set[str] = set()

    def put(self, worker: Worker) -> None:
        """Take in a new or changed worker."""
        if worker.tenant and worker.tenant not in self.tenants:
            self.tenants.add(worker.tenant)
            self.claimed.add(worker.tenant)
        before = self.get(worker.id)
        neighbours = self._relocate(before, worker)
        self._stand(worker)
        self._stand_anew(neighbours)
        self._on_change(worker.id)

    def remove(self, worker_id: str) -> None:
        """Drop a worker that the Registry no longer knows."""
        station = self._stations.get(worker_id)
        if station is None:
            return
        self._leave(station)
        self._kinds.tidy()
        del self._stations[worker_id]
        self._resting.discard(worker_id)
        self._leases.unkept(worker_id)
        self._stand_anew(self._relocate(station.worker, None))
        self._on_change(worker_id)

    def keep_only(self, worker_ids: Iterable[str]) -> None:
        """Drop everyone whom a complete snapshot did not name."""
        for gone in self._stations.keys() - set(worker_ids):
            self.remove(gone)

    def get(self, worker_id: str) -> Worker | None:
        """The worker of that id."""
        station = self._stations.get(worker_id)
        return station.worker if station else None

    def serves(self, worker_id: str, tenant: str) -> bool:
        """Whether there is such a worker, and it may run what is this tenant's."""
        worker = self.get(worker_id)
        return worker is not None and serves_tenant(worker, tenant)

    def station(self, worker_id: str) -> Station | None:
        """The worker of that id, with its slots."""
        return self._stations.get(worker_id)

    def serving(self, queue: str) -> list[Station]:
        """Workers that serve a queue, in the order in which they came."""
        return list(self._by_queue.get(queue, {}).values())

    def count(self, queue: str) -> int:
        """How many workers serve a queue."""
        return len(self._by_queue.get(queue, ()))

    def rows(self, queue: str) -> Rows:
        """As Kinds.rows."""
        return self._kinds.rows(queue)

    def put_down(self, queue: str) -> None:
        """As Kinds.put_down."""
        self._kinds.put_down(queue)

    def read(self, queue: str) -> Rows:
        """The kinds of workers in a queue, as Kinds.read, those that are free in order from now on."""
        rows = self._kinds.read(queue)
        if not rows.awake:
            rows.wake()
            for station in self.serving(queue):
                station.settle()
        return rows

    def profiles(self, queue: str) -> set[Profile]:
        """The profiles of the workers that serve a queue."""
        return {kind.profile for kind, _ in self.rows(queue).entries if kind.stations}

    def queues(self) -> set[str]:
        """Queues that at least one worker serves."""
        return set(self._by_queue)

    def ask(self, signature: Signature) -> None:
        """From now on, workers that differ in what these runs ask for are of different kinds."""
        if self._kinds.ask(signature, [station.worker for station in self._stations.values()]):
            self._stand_anew(self._stations)

    def judge(self, worker_id: str) -> None:
        """Find out whether a worker takes work, after its line opened or broke."""
        if station := self._stations.get(worker_id):
            self._judge(station)

    def occupied(self, worker: WorkerInstance, total: int, by_queue: Mapping[str, int]) -> None:
        """Other Routers' runs take so many of a worker's slots."""
        station = self._stations.get(worker.worker_id)
        if station is None or station.worker.instance != worker:
            return
        station.elsewhere = total
        for seat in station.seats:
            seat.elsewhere = by_queue.get(seat.row.queue, 0)
        station.settle()

    def looks_free(self, worker_id: str, queue: str) -> bool:
        """Whether a worker could be given something out of a queue, as far as is known here."""
        station = self._stations.get(worker_id)
        seat = station.seat(queue) if station else None
        return seat is not None and seat.level != TAKEN

    def rest(self, worker_id: str, *, resting: bool) -> None:
        """A worker refuses whatever it is given: leave it alone for now, or ask it again."""
        if resting:
            self._resting.add(worker_id)
        else:
            self._resting.discard(worker_id)
        self.judge(worker_id)

    def warmed(self, worker_id: str, model: str) -> None:
        """A worker loads a model that lies on its machine: the Registry will say so later."""
        worker = self._stations[worker_id].worker
        if model in worker.local_models and model not in worker.resident_models:
            self._stand(replace(worker, resident_models=worker.resident_models | {model}))

    def __iter__(self) -> Iterator[Worker]:
        return (station.worker for station in self._stations.values())

    def _stand(self, worker: Worker) -> None:
        """Put a worker where it belongs, as it is now."""
        before, kind = self._stations.get(worker.id), self._kinds.of(worker)
        if before is not None and before.kind is kind and before.instance == worker.instance:
            before.is_now(worker)
            self._judge(before)
            return
        station = Station(worker, kind, self._leases.holdings(worker.id), before)
        receded = self.receded
        shifted, fits_the_same = set(self.shifted), before is not None and before.kind.profile is kind.profile
        was_open = before is not None and before.open
        if before is not None:
            self._leave(before)
        self._stations[worker.id] = station
        station.sit_down()
        for queue in worker.queues:
            self._by_queue.setdefault(queue, {})[worker.id] = station
        if self._kinds.join(station):
            self.shifted |= worker.queues.keys()
        self._kinds.tidy()
        self._judge(station)
        if fits_the_same and before is not None and was_open == station.open:
            self.shifted = shifted
        self.receded = receded or (was_open and not station.open)

    def _leave(self, station: Station) -> None:
        """Take a worker away from where it stood."""
        worker = station.worker
        self._open(station, "is somewhere else")
        for queue in worker.queues:
            serving = self._by_queue[queue]
            del serving[worker.id]
            if not serving:
                del self._by_queue[queue]
        if self._kinds.part(station):
            self.shifted |= worker.queues.keys()

    def _stand_anew(self, worker_ids: Iterable[str]) -> None:
        for worker_id in list(worker_ids):
            self._stand(self._stations[worker_id].worker)

    def _judge(self, station: Station) -> None:
        connected = self._lineup.connected(station.worker.instance)
        self._open(station, station.reason(connected=connected, resting=station.worker.id in self._resting))

    def _open(self, station: Station, closed_because: str) -> None:
        was_open, station.closed_because = station.open, closed_because
        change = station.open - was_open
        if change:
            self.receded |= change < 0
            station.kind.open += change
            profile = station.kind.profile
            profile.open += change
            if profile.open == (change > 0):
                self.shifted |= station.worker.queues.keys()
        station.settle()

    def _relocate(self, before: Worker | None, after: Worker | None) -> set[str]:
        """Note where a worker and its data are; returns the other workers that have other data on their host by now."""
        if before is not None and after is not None and _same_place(before, after):
            return set()
        self.receded = self.receded or before is not None
        hosts = {worker.location.host for worker in (before, after) if worker is not None} - {""}
        known = {host: self.sources.on_host(host) for host in hosts}
        for worker in filter(None, [before]):
            self.sources.remove(worker)
            self._by_host.get(worker.location.host, {}).pop(worker.id, None)
        for worker in filter(None, [after]):
            self.sources.add(worker)
            if worker.location.host:
                self._by_host.setdefault(worker.location.host, {})[worker.id] = None
        changed = [host for host in hosts if self.sources.on_host(host) != known[host]]
        neighbours = {worker_id for host in changed for worker_id in self._by_host.get(host, ())}
        for host in hosts:
            if not self._by_host.get(host, True):
                del self._by_host[host]
        return neighbours - {worker.id for worker in (before, after) if worker is not None}


def _same_place(one: Worker, other: Worker) -> bool:
    return one.location == other.location and one.data_sources == other.data_sources
