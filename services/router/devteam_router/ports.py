"""What the parts of the Router need of each other and of the outside."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Protocol

from devteam_router.choices import Choice
from devteam_router.domain import AttemptId, Decision, Run, Wait, Worker, WorkerInstance
from devteam_router.frames import Frame
from devteam_router.routing import Wishes


class Lineup(Protocol):
    """The workers that are on the line now."""

    def connected(self, worker: WorkerInstance) -> bool:
        """Whether this instance has an open stream to this Router."""

    def send(self, worker: WorkerInstance, frame: Frame) -> bool:
        """Put a frame on the instance's stream; False when it has none."""


class Placed(Protocol):
    """Learns what becomes of a run while it looks for a worker."""

    def shed(self, attempt: AttemptId, now: float) -> bool:
        """Whether its time to be placed is over at `now`; it has ended then, and must leave its line."""

    def waiting(self, attempt: AttemptId, wait: Wait, queue: str) -> None:
        """It waits, for this reason; told again when the reason changes."""

    def assigned(self, run: Run, decision: Decision, choice: Choice) -> None:
        """It was given to the worker of this choice."""

    def refiled(self, run: Run) -> None:
        """It waits in other queues than before."""


@dataclass(frozen=True, slots=True)
class FleetSnapshot:
    """Part of the complete list; whoever is in no part since the `first` is gone once `complete` has come."""

    workers: tuple[Worker, ...]
    complete: bool
    first: bool = False


@dataclass(frozen=True, slots=True)
class WorkerChanged:
    """A new or different worker."""

    worker: Worker


@dataclass(frozen=True, slots=True)
class WorkerRemoved:
    """A worker that the Registry no longer knows."""

    worker_id: str


@dataclass(frozen=True, slots=True)
class RoutingChanged:
    """Operators want runs to be placed like this."""

    wishes: Wishes


@dataclass(frozen=True, slots=True)
class RoutersChanged:
    """The Routers that are alive, as address by id; those without an address of their own are not named."""

    addresses: Mapping[str, str]


FleetEvent = FleetSnapshot | WorkerChanged | WorkerRemoved | RoutingChanged | RoutersChanged


@dataclass(frozen=True, slots=True)
class LinkState:
    """A worker's stream: whether it is open, and how many attempts are in hand.

    `given_up_in` is how many seconds the worker has to come back with them; None when it is here, or too late.
    """

    worker: WorkerInstance
    connected: bool
    running: int
    given_up_in: float | None = None


@dataclass(frozen=True, slots=True)
class LinkReport:
    """What the Registry shall hear of streams; `complete` when a stream that it does not name is not here."""

    links: tuple[LinkState, ...]
    complete: bool = False


class Registry(Protocol):
    """The Registry, as the Router sees it."""

    async def report(self, report: LinkReport) -> None:
        """Say which workers have a stream to this Router. Raises a DevTeamError when it was not heard."""

    def watch(self) -> AsyncGenerator[FleetEvent, None]:
        """A snapshot, then every change. Raises Unavailable or ResourceExhausted when the line breaks: watch again."""
