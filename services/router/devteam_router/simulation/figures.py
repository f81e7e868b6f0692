"""What a play amounts to, in numbers."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import fmean, pstdev

from devteam_router.simulation.journal import Stay
from devteam_router.simulation.load import Load, Span
from devteam_router.simulation.play import Play
from devteam_router.simulation.scenario import HOUR

# Points of a curve over the time of a play.
_SLICES = 96


@dataclass(frozen=True, slots=True)
class Waits:
    """How long attempts waited until they were placed, in seconds; those that never were are not among them."""

    placed: int
    p50: float
    p95: float
    p99: float
    longest: float


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of the time, from `hour` on: how busy slots were, and how long those waited who came then, in seconds.

    None: there were no slots, or nobody came who was placed.
    """

    hour: float
    utilisation: float | None
    p50: float | None
    p95: float | None


@dataclass(frozen=True, slots=True)
class Makespan:
    """How long finite work took, in seconds, and a lower bound of it that no scheduler can pass.

    The bound is the larger of all work over all slots, each as fast as it is, and of what the task that could end last
    takes on the fastest machine from when it comes. It knows of no queues, models, load times or deaths, so the best
    schedule that there is may take longer.
    """

    seconds: float
    bound: float
    # How many times the bound it took.
    ratio: float


@dataclass(frozen=True, slots=True)
class Figures:
    """A whole play. The same scenario, seed and strategy give the same figures.

    `placed` counts attempts, `lost` those whose worker died, `late` those that found no worker before their deadline,
    and `waiting` those that nobody can ever run. `utilisation` is the mean over workers of busy slot time over slot
    time, `imbalance` its coefficient of variation. `reasons` are the seconds that attempts waited for each reason.
    """

    strategy: str
    tasks: int
    placed: int
    ended: int
    lost: int
    late: int
    waiting: int
    waits: Waits
    by_queue: Mapping[str, Waits]
    by_tenant: Mapping[str, Waits]
    by_priority: Mapping[str, Waits]
    utilisation: float
    imbalance: float
    reasons: Mapping[str, float]
    makespan: Makespan | None
    over_time: Sequence[Slice]


def figures(play: Play) -> Figures:
    """The figures of a play that was run."""
    stays, journal = play.journal.stays, play.journal
    period = _period(play)
    load = Load(play.machines, stays)
    shares = load.of_each(period)
    utilisation = fmean(shares) if shares else 0.0
    return Figures(
        strategy=play.strategy.value,
        tasks=len(play.jobs),
        placed=len(stays),
        ended=sum(not stay.lost for stay in stays),
        lost=sum(stay.lost for stay in stays),
        late=len(journal.late),
        waiting=journal.in_line,
        waits=_waits(stay.waited for stay in stays),
        by_queue=_grouped(stays, lambda stay: stay.queue),
        by_tenant=_grouped(stays, lambda stay: stay.job.stream.tenant),
        by_priority=_grouped(stays, lambda stay: str(stay.job.stream.priority)),
        utilisation=utilisation,
        imbalance=pstdev(shares) / utilisation if utilisation else 0.0,
        reasons={reason.value: journal.reasons[reason] for reason in sorted(journal.reasons)},
        makespan=_makespan(play) if play.scenario.is_finite and stays else None,
        over_time=_over_time(load, stays, period),
    )


def _period(play: Play) -> Span:
    """What figures are about: the hours of the scenario, or where work is finite, from its first to its last moment."""
    if not play.scenario.is_finite or not play.journal.stays:
        return Span(0.0, play.scenario.hours * HOUR)
    return Span(play.jobs[0].came, max(stay.until for stay in play.journal.stays))


def _makespan(play: Play) -> Makespan:
    first, jobs = play.jobs[0].came, play.jobs
    machines = list(play.machines)
    fastest = max(machine.group.speed for machine in machines)
    together = sum(machine.slots * machine.group.speed for machine in machines)
    last = max(job.came - first + job.work / fastest for job in jobs)
    bound = max(sum(job.work for job in jobs) / together, last)
    seconds = max(stay.until for stay in play.journal.stays) - first
    return Makespan(seconds, bound, seconds / bound)


def _waits(seconds: Iterable[float]) -> Waits:
    found = sorted(seconds)
    return Waits(
        len(found), _percentile(found, 50), _percentile(found, 95), _percentile(found, 99), max(found, default=0)
    )


def _grouped(stays: Iterable[Stay], name: Callable[[Stay], str]) -> Mapping[str, Waits]:
    groups: dict[str, list[float]] = {}
    for stay in stays:
        groups.setdefault(name(stay), []).append(stay.waited)
    return {key: _waits(groups[key]) for key in sorted(groups)}


def _percentile(ordered: Sequence[float], percent: int) -> float:
    """The least of the values that so many per cent do not exceed."""
    return ordered[max(0, ceil(len(ordered) * percent / 100) - 1)] if ordered else 0.0


def _over_time(load: Load, stays: Iterable[Stay], period: Span) -> Sequence[Slice]:
    spans = period.slices(_SLICES)
    if not spans:
        return ()
    waited: list[list[float]] = [[] for _ in spans]
    for stay in stays:
        if (index := period.index(stay.since - stay.waited, _SLICES)) is not None:
            waited[index].append(stay.waited)
    shares = load.over(period, _SLICES)
    return [_slice(span, share, sorted(waits)) for span, share, waits in zip(spans, shares, waited, strict=True)]


def _slice(span: Span, share: float | None, waits: Sequence[float]) -> Slice:
    if not waits:
        return Slice(span.begin / HOUR, share, None, None)
    return Slice(span.begin / HOUR, share, _percentile(waits, 50), _percentile(waits, 95))
