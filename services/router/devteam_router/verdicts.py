"""What filters and strategy make of every worker of a queue, for people."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

from devteam_router.domain import Candidate, Signature, Worker
from devteam_router.filters import serves_model, serves_tenant, unmet
from devteam_router.fleet import Fleet
from devteam_router.seats import Seat
from devteam_router.stations import Kind
from devteam_router.strategies.base import Rank, Strategy

# In a queue with more workers than that, those that are alike and fare alike are told as one.
_EACH = 100


class _Stage(IntEnum):
    """How far somebody came, the nearest to the goal first."""

    FREE = 0
    BUSY = 1
    CLOSED = 2
    REMOVED = 3


@dataclass(slots=True)
class _Verdict:
    stage: _Stage
    words: str = ""


@dataclass(slots=True)
class _Found:
    key: tuple[_Stage, Rank, float]
    candidate: Candidate


def verdicts(fleet: Fleet, signature: Signature, queue: str, strategy: Strategy) -> list[Candidate]:
    """Who could take a run, the best first, and what removed the others."""
    together = fleet.count(queue) > _EACH
    kinds = [kind for kind, _ in fleet.rows(queue).entries if kind.stations]
    found = [item for kind in kinds for item in _of_kind(kind, signature, queue, strategy, together=together)]
    found.sort(key=lambda item: item.key)
    return [item.candidate for item in found]


def _of_kind(kind: Kind, signature: Signature, queue: str, strategy: Strategy, *, together: bool) -> Iterator[_Found]:
    rank, merits = strategy.rank(signature, kind), strategy.merits(signature, kind)
    removed = _removed(kind.worker, signature, queue)
    for verdict, seats in _groups(kind, signature, queue, removed, together=together):
        seat = min(seats, key=lambda seat: seat.station.active)
        score = (seat.station.active + 1) * seat.row.unit
        words, alike = verdict.words, len(seats)
        candidate = Candidate(seat.station.worker, queue, seat.taken, seat.limit, words, score, merits, alike)
        yield _Found((verdict.stage, rank, score), candidate)


def _groups(
    kind: Kind, signature: Signature, queue: str, removed: _Verdict | None, *, together: bool
) -> Iterable[tuple[_Verdict, list[Seat]]]:
    """Seats with the same verdict; each by itself unless `together`."""
    groups: dict[str, tuple[_Verdict, list[Seat]]] = {}
    for station in kind.stations.values():
        seat = station.seat(queue)
        assert seat is not None
        verdict = removed or _verdict(seat, signature)
        _, seats = groups.setdefault(verdict.words if together else station.worker.id, (verdict, []))
        seats.append(seat)
    return groups.values()


def _removed(worker: Worker, signature: Signature, queue: str) -> _Verdict | None:
    """Why nobody of a kind could run it; None: they could."""
    if not serves_tenant(worker, signature.tenant):
        return _Verdict(_Stage.REMOVED, f"serves only tenant {worker.tenant}")
    if not serves_model(worker.queues[queue], signature.model):
        return _Verdict(_Stage.REMOVED, f"does not serve {signature.model} in {queue}")
    words = unmet(worker, signature)
    return _Verdict(_Stage.REMOVED, words) if words else None


def _verdict(seat: Seat, signature: Signature) -> _Verdict:
    """How a worker that fits is doing now."""
    station = seat.station
    if station.closed_because:
        return _Verdict(_Stage.CLOSED, station.closed_because)
    if seat.taken >= seat.limit:
        return _Verdict(_Stage.BUSY, f"all {seat.limit} slots of {seat.row.queue} are busy")
    if station.active >= station.kind.concurrency:
        return _Verdict(_Stage.BUSY, f"all its {station.kind.concurrency} slots are busy")
    if signature in station.refuses:
        return _Verdict(_Stage.BUSY, "refused it a moment ago")
    return _Verdict(_Stage.FREE)
