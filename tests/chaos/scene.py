"""Where a fault is played: a running cluster, an audience, and the queue and agents of one lane.

Lanes let several runs of one fault go on side by side without meeting: each has its own queue and its own agents.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import TypeAlias

from devteam.client import DevTeamClient
from tests.chaos.audience import Audience
from tests.chaos.cluster import Cluster
from tests.chaos.journal import Journal, Record
from tests.chaos.layout import Routers
from tests.chaos.storage import Kind, Storage

# An upper bound for whatever a scene waits for.
PATIENCE = 90.0


@dataclass(frozen=True, slots=True)
class Scene:
    """One run of a fault."""

    cluster: Cluster
    audience: Audience
    journal: Journal
    operator: DevTeamClient
    storage: Storage
    random: Random
    queue: str
    agents: tuple[str, ...]

    async def speaking(self, *tasks: str) -> None:
        """Wait until each of these has said something."""
        for task in tasks:
            await self.journal.first("tokens", task=task, patience=PATIENCE)

    async def begun(self, task: str, attempt: int = 1) -> Record:
        """The moment at which an agent began with it."""
        return await self.journal.first("begun", task=task, attempt=attempt, patience=PATIENCE)

    def spare(self, *tasks: str) -> None:
        """These must go on as if nothing had been."""
        self.journal.note("spared", tasks=tasks)


# What was measured in one run, in seconds, by its name in the table.
Measured: TypeAlias = dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind of fault: how to play it once, how often, and what is required.

    `bounds` are the most that the 99th percentile of a measured time may be, in seconds, by its name.
    """

    name: str
    required: str
    runs: int
    play: Callable[[Scene], Awaitable[Measured]]
    bounds: Mapping[str, float] = field(default_factory=dict)
    # Runs of it in the default test run.
    sample: int = 1
    lanes: int = 1
    # Processes of workers, workers in each, slots of each worker.
    agents: int = 2
    crew: int = 1
    slots: int = 4
    routers: Routers = Routers.ONE
    env: Mapping[str, str] = field(default_factory=dict)
    storage: Kind = Kind.FILE

    @property
    def footing(self) -> tuple[object, ...]:
        """What its mesh is made of: faults of the same can be played on the same."""
        return (self.routers, self.storage, sorted(self.env.items()), self.agents, self.crew, self.slots)
