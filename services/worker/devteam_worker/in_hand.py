"""One attempt that this worker has in hand, and the Router that it is bound to."""

import asyncio
from dataclasses import dataclass, field

from devteam_worker.domain import Assignment, AttemptId, Cancelled, HandedBack, Outcome
from devteam_worker.observation import Observation
from devteam_worker.providers.base import Usage
from devteam_worker.transcript import Transcript


@dataclass(slots=True)
class InHand:
    """What the attempt has said, and how it ended. It stays in hand until its report is acknowledged."""

    assignment: Assignment
    transcript: Transcript
    # Address of the Router that assigned it, or that resumed it last: nobody else hears of it. Empty: that one is gone.
    router: str = ""
    # Routers that believe it to be theirs, or to be had.
    told: set[str] = field(default_factory=set)
    outcome: Outcome | None = None
    report_sent: bool = False
    # After a reconnect nothing is said about it until the Router has said where to go on.
    silent: bool = False
    # What it ends with when its task is cancelled, and since when that is so.
    stopped_as: Cancelled | HandedBack = field(default_factory=Cancelled)
    stopping_since: float | None = None
    # What it had taken by then.
    usage: Usage = field(default_factory=Usage)
    observation: Observation | None = None
    task: "asyncio.Task[None] | None" = None

    @property
    def id(self) -> AttemptId:
        """Which attempt of which task."""
        return self.assignment.id

    @property
    def running(self) -> bool:
        """Whether it occupies a slot."""
        return self.outcome is None

    @property
    def has_news(self) -> bool:
        """Whether there is something to send about it."""
        return not self.silent and (self.transcript.unsent or (self.outcome is not None and not self.report_sent))

    def heeds(self, router: str) -> bool:
        """Whether this Router's word about it counts: it is bound to it, or to nobody."""
        return self.router in {"", router}

    def counted_by(self, router: str) -> bool:
        """Whether this Router itself knows of the slot that it takes."""
        return self.router == router or (not self.router and router in self.told)

    def taken_from(self, router: str) -> bool:
        """Whether this Router has yet to hear that another one has it."""
        return router in self.told and not self.heeds(router)

    def unknown_to(self, router: str) -> bool:
        """Whether this Router has yet to hear that it is to be had."""
        return not self.router and router not in self.told

    def spend(self, usage: Usage) -> None:
        """Hear what it has taken."""
        self.usage = usage

    def bind(self, router: str) -> None:
        """From now on it is this Router's."""
        self.router = router
        self.told.add(router)
