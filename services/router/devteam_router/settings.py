"""The Router's settings, from the environment."""

from typing import Annotated

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError
from pydantic_settings import SettingsConfigDict

from devteam.mesh.settings import FROM_JSON, Address, ServiceSettings
from devteam_router.domain import StrategyName
from devteam_router.graces import Graces
from devteam_router.routing import Policy

_ADDRESS = TypeAdapter[str](Address)


def _reachable(address: str) -> str:
    """As the Registry takes it: of one Router, on the network."""
    if address.startswith(("dns:", "unix:", "ipv4:", "ipv6:")):
        raise ValueError('must be "host:port" or a URL')
    if address:
        try:
            _ADDRESS.validate_python(address)
        except ValidationError as error:
            raise error.errors()[0]["ctx"]["error"] from None
    return address


class Settings(ServiceSettings):
    """DEVTEAM_ROUTER_... variables; times in seconds, sizes in bytes. `preferences` is JSON."""

    model_config = SettingsConfigDict(env_prefix="DEVTEAM_ROUTER_", extra="forbid")

    port: int = Field(default=7402, ge=0, le=65535)
    """The port to listen at; 0 takes a free one."""
    registry_address: Address = "http://127.0.0.1:7401"
    """Where the Registry is."""
    strategy: StrategyName = StrategyName.LEAST_LOADED
    """How a worker is picked where nothing else says so: round-robin, least-loaded, capability-match or locality."""
    preferences: Annotated[dict[str, list[str]], *FROM_JSON] = Field(default_factory=dict)
    """For tasks that name no queue: JSON, from patterns of models to queues in order of preference."""
    locality_wait_s: float = Field(default=3.0, ge=0, le=3600)
    """Seconds that a task waits for a slot near its data source before it goes far."""
    advertised_address: Annotated[str, AfterValidator(_reachable)] = ""
    """Where workers and Planners reach this very Router, where there are several: host:port or a URL."""
    link_grace_s: float = Field(default=10.0, ge=0, le=3600)
    """Seconds for a worker whose stream broke to come back before its runs are lost."""
    orphan_grace_s: float = Field(default=60.0, ge=0, le=86_400)
    """Seconds that a run is kept for while no Planner asks for it."""
    beat_interval_s: float = Field(default=15.0, gt=0, lt=50)
    """Seconds between two beats on the stream of a worker."""
    window_bytes: int = Field(default=1024 * 1024, ge=4096, le=64 * 1024 * 1024)
    """Bytes of a run's tokens that a worker may have sent and nobody acknowledged yet."""
    max_waiting: int = Field(default=100_000, ge=1)
    """Runs that may wait, over all queues."""
    max_waiting_per_queue: int = Field(default=50_000, ge=1)
    """Runs that may wait in one queue."""
    max_waiting_per_tenant: int = Field(default=50_000, ge=1)
    """Runs that may wait of one tenant."""

    @property
    def graces(self) -> Graces:
        """How long to wait for whom."""
        return Graces(
            link=self.link_grace_s,
            orphan=self.orphan_grace_s,
            beat=self.beat_interval_s,
            beat_timeout=3 * self.beat_interval_s,
            window_bytes=self.window_bytes,
            max_waiting=self.max_waiting,
            max_waiting_per_queue=self.max_waiting_per_queue,
            max_waiting_per_tenant=self.max_waiting_per_tenant,
        )

    @property
    def policy(self) -> Policy:
        """How to place runs."""
        return Policy(self.strategy, self.preferences, self.locality_wait_s)
