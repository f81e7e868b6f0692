"""The tasks that come. They depend on the scenario alone, so that every strategy is given the same."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from devteam_router.simulation.scenario import HOUR, Burst, Scenario, Stream


@dataclass(frozen=True, slots=True)
class Job:
    """A task: when it comes, and how much there is to do, in seconds on a machine of speed 1."""

    id: str
    stream: Stream
    came: float
    work: float


def jobs(scenario: Scenario) -> list[Job]:
    """All tasks of a scenario, in the order in which they come."""
    found = [
        job
        for index, stream in enumerate(scenario.streams)
        for job in _of_stream(f"{index}", stream, scenario.hours * HOUR, scenario.seed)
    ]
    return sorted(found, key=lambda job: job.came)


def expected(stream: Stream, hours: float) -> float:
    """How many tasks to expect of a stream."""
    if stream.burst is not None:
        return float(stream.burst.count)
    whole, rest = divmod(hours, 1)
    factors = [_factor(stream, hour) for hour in range(int(whole) + 1)]
    return stream.rate * (sum(factors[:-1]) + factors[-1] * rest)


def _of_stream(name: str, stream: Stream, end: float, seed: int) -> Iterator[Job]:
    # Streams draw each for itself: another one changes nothing about those that were there.
    random = Random(f"{seed}/{name}")  # noqa: S311 - plays, keeps no secret
    times = _steady(stream, end, random) if stream.burst is None else _bursting(stream.burst, random)
    for number, came in enumerate(times, start=1):
        yield Job(f"{stream.name}-{name}-{number}", stream, came, stream.work.draw(random))


def _bursting(burst: Burst, random: Random) -> list[float]:
    return sorted(burst.at + burst.within * random.random() for _ in range(burst.count))


def _steady(stream: Stream, end: float, random: Random) -> Iterator[float]:
    """A Poisson process hour by hour: it has no memory, so each hour may begin anew."""
    hour = 0
    while (now := hour * HOUR) < end:
        rate = stream.rate * _factor(stream, hour) / HOUR
        hour += 1
        while rate and (now := now + random.expovariate(rate)) < min(hour * HOUR, end):
            yield now


def _factor(stream: Stream, hour: int) -> float:
    return stream.profile[hour % len(stream.profile)] if stream.profile else 1.0
