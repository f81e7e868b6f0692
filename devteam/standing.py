"""How the services of a mesh stand."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from devteam.mesh.standing import Dependency, DependencyState

__all__ = ["Dependency", "DependencyState", "ServiceStatus"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStatus:
    """What one service says of itself: "registry", "router" or "planner".

    `problem` is why it could not be asked, in words; all but the name is empty then. Of several processes it is the one
    that happened to answer; `instance` tells Routers apart. `now` is its clock as it answered, `clock_ahead` how far
    that is ahead of this machine's (negative: behind), give or take `clock_margin`. `traces` says where its spans go:
    "store", "otlp" or "off".
    """

    name: str
    instance: str = ""
    version: str = ""
    python_version: str = ""
    started_at: datetime | None = None
    now: datetime | None = None
    clock_ahead: timedelta = timedelta()
    clock_margin: timedelta = timedelta()
    dependencies: tuple[Dependency, ...] = ()
    traces: str = ""
    problem: str = ""

    @property
    def uptime(self) -> timedelta | None:
        """For how long it has been up, by its own clock."""
        return self.now - self.started_at if self.now and self.started_at else None

    @property
    def away(self) -> tuple[Dependency, ...]:
        """What it stands on and does not find."""
        return tuple(one for one in self.dependencies if one.state is DependencyState.AWAY)
