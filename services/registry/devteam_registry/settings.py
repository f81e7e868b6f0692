"""What can be set about a Registry: variables named DEVTEAM_REGISTRY_..."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from devteam_registry.domain import HealthPolicy


class Settings(BaseSettings):
    """Where to listen, what to remember in, and how long silence may last."""

    model_config = SettingsConfigDict(env_prefix="DEVTEAM_REGISTRY_")

    # "memory", sqlite:///... or postgresql+psycopg://...
    database_url: str = "sqlite:///registry.db"
    host: str = "127.0.0.1"
    port: int = Field(default=7401, ge=0, le=65535)
    # Said on purpose: listen beyond this machine without TLS and keys.
    insecure: bool = False
    # Seconds; interval x 2 <= unhealthy < lost < deregister.
    heartbeat_interval_s: float = 30.0
    unhealthy_after_s: float = 60.0
    lost_after_s: float = 120.0
    deregister_after_s: float = 300.0
    # Told to workers when they register. Empty: they stay with the address that they registered at.
    router_addresses: list[str] = []
    # Changes that a watcher may be behind before it has to begin anew.
    watcher_backlog: int = Field(default=10_000, ge=1)
    trace_file: Path | None = None
    log_level: str = "INFO"

    def policy(self) -> HealthPolicy:
        """The health timings. Raises FailedPrecondition when they contradict each other."""
        return HealthPolicy(
            heartbeat_interval=self.heartbeat_interval_s,
            unhealthy_after=self.unhealthy_after_s,
            lost_after=self.lost_after_s,
            deregister_after=self.deregister_after_s,
        )
