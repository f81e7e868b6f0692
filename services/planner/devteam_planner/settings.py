"""What a Planner can be told from outside."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Read from DEVTEAM_PLANNER_... variables of the environment."""

    model_config = SettingsConfigDict(env_prefix="DEVTEAM_PLANNER_")

    # SQLAlchemy's URL, sqlite:///FILE or postgresql+psycopg://..., or "memory".
    database_url: str = "sqlite:///planner.db"
    host: str = "127.0.0.1"
    port: int = Field(default=7403, ge=0, le=65535)
    # Said on purpose: listen beyond this machine without TLS and keys.
    insecure: bool = False
    router_address: str = "http://127.0.0.1:7402"
    temporal_address: str = "127.0.0.1:7233"
    temporal_namespace: str = "default"
    temporal_task_queue: str = "devteam-plans"
    # Steps that this process drives at the same time, those that wait for a worker included.
    max_running_steps: int = Field(default=10_000, ge=1)
    # How often, in seconds, a watch looks for what other Planners on the same database wrote.
    watch_poll_s: float = Field(default=0.5, gt=0)
    # Spans go here, one JSON object a line, unless an OTLP endpoint is configured.
    trace_file: Path | None = None
    log_level: str = "INFO"
