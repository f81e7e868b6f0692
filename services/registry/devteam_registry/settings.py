"""What can be set about a Registry: variables named DEVTEAM_REGISTRY_..."""

from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import SettingsConfigDict

from devteam.mesh.settings import Addresses, DatabaseUrl, ServiceSettings, variable
from devteam_registry.health import HealthPolicy

_PREFIX = "DEVTEAM_REGISTRY_"

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Settings(ServiceSettings):
    """Where to listen, what to remember in, and how long silence may last."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX)

    database_url: DatabaseUrl = "sqlite:///registry.db"
    """What to remember in: memory, sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/NAME."""
    port: int = Field(default=7401, ge=0, le=65535)
    """The port to listen at; 0 takes a free one."""
    migrate_at_start: bool = True
    """Bring the schema of the database up to date at the start. Off: `devteam migrate` does it, and until then no start
    succeeds."""
    # interval x 2 <= unhealthy < lost < deregister.
    heartbeat_interval_s: Seconds = 30.0
    """Seconds between two beats of a worker."""
    unhealthy_after_s: Seconds = 60.0
    """Seconds of silence after which a worker gets no new work."""
    lost_after_s: Seconds = 120.0
    """Seconds of silence after which what a worker runs is given to others."""
    deregister_after_s: Seconds = 300.0
    """Seconds of silence after which a worker is forgotten."""
    router_addresses: Addresses = Field(default_factory=list)
    """Told to workers when they register: a JSON list. Empty: they stay with the address that they registered at."""
    watcher_backlog: int = Field(default=10_000, ge=1)
    """Changes that a watcher may be behind before it has to begin anew."""

    @field_validator("unhealthy_after_s")
    @classmethod
    def _two_beats_fit(cls, seconds: float, told: ValidationInfo) -> float:
        interval = told.data.get("heartbeat_interval_s", 0)
        if seconds < 2 * interval:
            name = variable(_PREFIX, "heartbeat_interval_s")
            raise ValueError(f"is {seconds:g}; must be at least twice {name}, which is {interval:g}")
        return seconds

    @field_validator("lost_after_s", "deregister_after_s")
    @classmethod
    def _later_than_the_one_before(cls, seconds: float, told: ValidationInfo) -> float:
        before = "unhealthy_after_s" if told.field_name == "lost_after_s" else "lost_after_s"
        earlier = told.data.get(before, 0)
        if seconds <= earlier:
            raise ValueError(f"is {seconds:g}; must be more than {variable(_PREFIX, before)}, which is {earlier:g}")
        return seconds

    def policy(self) -> HealthPolicy:
        """The health timings. They agree with each other: what does not is refused before."""
        return HealthPolicy(
            heartbeat_interval=self.heartbeat_interval_s,
            unhealthy_after=self.unhealthy_after_s,
            lost_after=self.lost_after_s,
            deregister_after=self.deregister_after_s,
        )
