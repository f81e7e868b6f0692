"""What is played: machines, the work that comes to them, how it is placed, and what goes wrong."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import log
from random import Random

from devteam_router.domain import Requirements, Worker
from devteam_router.routing import Policy, Wishes

HOUR = 3_600.0


@dataclass(frozen=True, slots=True)
class Group:
    """Machines that are alike; `worker` is what the Registry would say of one of them.

    `speed` is how much work one of its slots does in a second. `load_time` is how many seconds it takes to load a model
    that lies on the machine; `in_memory` of them are kept loaded (None: all).
    """

    name: str
    count: int
    worker: Worker
    speed: float = 1.0
    load_time: float = 0.0
    in_memory: int | None = None


class Spread(StrEnum):
    """How the work of tasks is spread around its mean."""

    FIXED = "fixed"
    EXPONENTIAL = "exponential"
    LOGNORMAL = "lognormal"


@dataclass(frozen=True, slots=True)
class Work:
    """How much there is to do in a task: seconds on a machine of speed 1. `sigma` is the lognormal one's own."""

    mean: float
    spread: Spread = Spread.EXPONENTIAL
    sigma: float = 1.0

    def draw(self, random: Random) -> float:
        """The work of one task."""
        match self.spread:
            case Spread.FIXED:
                return self.mean
            case Spread.EXPONENTIAL:
                return random.expovariate(1 / self.mean)
            case Spread.LOGNORMAL:
                return random.lognormvariate(log(self.mean) - self.sigma**2 / 2, self.sigma)


@dataclass(frozen=True, slots=True)
class Burst:
    """So many tasks from a moment on, evenly by chance over `within` seconds; 0: all at once."""

    count: int
    at: float = 0.0
    within: float = 0.0


@dataclass(frozen=True, slots=True)
class Stream:
    """Tasks that are alike but for their work.

    Either a `burst`, or `rate` tasks an hour, by chance, times the factor that `profile` has for the hour of the day.
    `deadline` is how many seconds one may wait.
    """

    name: str
    model: str
    work: Work
    rate: float = 0.0
    profile: tuple[float, ...] = ()
    burst: Burst | None = None
    queue: str = ""
    requirements: Requirements = field(default_factory=Requirements)
    near: str = ""
    priority: int = 3
    tenant: str = "default"
    deadline: float | None = None


class Change(StrEnum):
    """What happens to machines of a group."""

    CORDON = "cordon"
    UNCORDON = "uncordon"
    KILL = "kill"
    JOIN = "join"


@dataclass(frozen=True, slots=True)
class FleetIncident:
    """Something happens to `count` machines of a group (None: to all), `at` seconds after the beginning."""

    at: float
    change: Change
    group: str
    count: int | None = None


@dataclass(frozen=True, slots=True)
class ThrottleIncident:
    """A provider wants nothing of a model for some seconds."""

    at: float
    model: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Scenario:
    """A whole play. New tasks come for `hours`; what has come by then is played to its end."""

    groups: Sequence[Group]
    streams: Sequence[Stream]
    policy: Policy = field(default_factory=Policy)
    wishes: Wishes = field(default_factory=Wishes)
    incidents: Sequence[FleetIncident | ThrottleIncident] = ()
    hours: float = 24.0
    seed: int = 1

    @property
    def is_finite(self) -> bool:
        """Whether all work is there at some moment, so that it makes sense to ask how long it takes."""
        return all(stream.burst is not None for stream in self.streams)
