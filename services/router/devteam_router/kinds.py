"""Which workers are alike."""

from collections.abc import Hashable, Iterable
from dataclasses import replace

from devteam_router.domain import Signature, Worker
from devteam_router.seats import Row
from devteam_router.sources import Sources
from devteam_router.stations import Kind, Profile, Station

# Kinds that nobody is of any longer are kept, because somebody will be again soon: so many, and as many as are in use.
_SPARE = 64
# Labels, or data sources, that runs may ask for before all of them count.
_MOST_ASKED = 1_000


class Rows:
    """The kinds that serve a queue, and their seats in it.

    `version` changes when some were taken out; new ones come at the end of `entries`. `awake` ones are kept in order.
    """

    def __init__(self) -> None:
        self.entries: list[tuple[Kind, Row]] = []
        self.version = 0
        self.awake = False
        # How many read on in it.
        self.readers = 0

    def add(self, kind: Kind, row: Row) -> None:
        """There is a new kind."""
        row.awake = self.awake
        self.entries.append((kind, row))

    def wake(self) -> None:
        """Keep seats in order from now on."""
        self.awake = True
        for _, row in self.entries:
            row.awake = True

    def keep_used(self) -> None:
        """Take out the kinds that nobody is of."""
        self.entries = [entry for entry in self.entries if entry[0].stations]
        self.version += 1


_NONE = Rows()


class Kinds:
    """Finds the kind of a worker, and the kinds of a queue.

    What workers differ in counts only where some run has asked for it: many labels and data sources are one of a kind.
    """

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._profiles: dict[Hashable, Profile] = {}
        self._kinds: dict[Hashable, Kind] = {}
        self._spare = 0
        self._rows: dict[str, Rows] = {}
        self._labels = _Asked()
        self._data = _Asked()

    def of(self, worker: Worker) -> Kind:
        """The kind that a worker is of."""
        profile_key = self._profile_key(worker)
        host_sources = self._data.of(self._sources.on_host(worker.location.host))
        key = (profile_key, *_slots_key(worker), host_sources, self._place_key(worker))
        kind = self._kinds.get(key)
        if kind is None:
            typical = self._typical(worker)
            profile = self._profiles.get(profile_key)
            if profile is None:
                profile = self._profiles[profile_key] = Profile(profile_key, typical)
            kind = self._kinds[key] = Kind(key, profile, typical, host_sources)
            self._spare += 1
            for queue, row in kind.rows.items():
                self._rows.setdefault(queue, Rows()).add(kind, row)
        return kind

    def rows(self, queue: str) -> Rows:
        """The kinds that serve a queue, as of now."""
        return self._rows.get(queue, _NONE)

    def read(self, queue: str) -> Rows:
        """The kinds that serve a queue, now and later; until `put_down`."""
        rows = self._rows.setdefault(queue, Rows())
        rows.readers += 1
        return rows

    def put_down(self, queue: str) -> None:
        """Somebody reads no further. Of a queue that nobody serves or asks for, nothing is kept."""
        rows = self._rows[queue]
        rows.readers -= 1
        if not rows.readers and not rows.entries:
            del self._rows[queue]

    def join(self, station: Station) -> bool:
        """A worker is of its kind from now on; True if it is the first of its profile."""
        kind = station.kind
        self._spare -= not kind.stations
        kind.stations[station.worker.id] = station
        kind.profile.workers += 1
        return kind.profile.workers == 1

    def part(self, station: Station) -> bool:
        """A worker is of its kind no longer; True if it was the last of its profile."""
        kind = station.kind
        del kind.stations[station.worker.id]
        kind.profile.workers -= 1
        self._spare += not kind.stations
        return not kind.profile.workers

    def tidy(self) -> None:
        """Forget the kinds that nobody is of, if they are many; not while a worker moves from one to another."""
        if self._spare > max(_SPARE, len(self._kinds) // 2):
            self._forget_spare()

    def ask(self, signature: Signature, workers: Iterable[Worker]) -> bool:
        """Runs of this signature have come; True if some of `workers` may be of other kinds from now on."""
        wants, knew_all = signature.requirements, self._labels.full + self._data.full
        labels = self._labels.ask(key for key, _ in wants.labels)
        near = [signature.near_data_source] if signature.near_data_source else []
        places_counted = bool(self._data)
        sources = self._data.ask([*wants.data_sources, *near])
        if sources and not places_counted:
            return True
        if self._labels.full + self._data.full > knew_all:
            return True  # from now on, all of them count
        # What nobody has makes nobody different.
        return any(map(self._sources.version, sources)) or any(not labels.isdisjoint(w.labels) for w in workers)

    def _typical(self, worker: Worker) -> Worker:
        """A worker with nothing but what counts: the others of its kind may not have the rest."""
        labels = {key: worker.labels[key] for key in self._labels.of(worker.labels)}
        return replace(worker, labels=labels, data_sources=self._data.of(worker.data_sources))

    def _profile_key(self, worker: Worker) -> Hashable:
        return (
            tuple((queue.name, queue.models) for queue in worker.queues.values()),
            worker.tenant,
            worker.resources,
            worker.tools,
            frozenset((key, worker.labels[key]) for key in self._labels.of(worker.labels)),
            self._data.of(worker.data_sources),
        )

    def _place_key(self, worker: Worker) -> Hashable:
        place = worker.location
        return (place.region, place.zone) if self._data else None

    def _forget_spare(self) -> None:
        self._kinds = {key: kind for key, kind in self._kinds.items() if kind.stations}
        self._profiles = {kind.profile.key: kind.profile for kind in self._kinds.values()}
        for rows in self._rows.values():
            rows.keep_used()
        self._rows = {queue: rows for queue, rows in self._rows.items() if rows.entries or rows.readers}
        self._spare = 0


def _slots_key(worker: Worker) -> tuple[Hashable, ...]:
    return (
        tuple(queue.concurrency for queue in worker.queues.values()),
        worker.concurrency,
        worker.weight,
        worker.local_models,
        worker.resident_models,
    )


class _Asked:
    """Names that runs have asked for."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    def ask(self, names: Iterable[str]) -> set[str]:
        """Remember names; returns those that are new, and count from now on."""
        new = set() if self.full else set(names) - self._names
        self._names |= new
        return new

    @property
    def full(self) -> bool:
        """Whether too many were asked for to keep them apart: all count."""
        return len(self._names) > _MOST_ASKED

    def of(self, names: Iterable[str]) -> frozenset[str]:
        """Those of `names` that count."""
        return frozenset(names if self.full else self._names.intersection(names))

    def __bool__(self) -> bool:
        return bool(self._names)
