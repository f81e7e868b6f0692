"""What a Planner can be told from outside."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr, TypeAdapter, ValidationError, ValidationInfo, field_validator
from pydantic_settings import SettingsConfigDict

from devteam.mesh.settings import Address, DatabaseUrl, HostPort, PemFile, ServiceSettings
from devteam.mesh.tls import TlsFiles
from devteam_planner.domain import TAKEOVER

PREFIX = "DEVTEAM_PLANNER_"

_ADDRESS = TypeAdapter[str](Address)


def _parts(addresses: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(address.strip() for address in addresses.split(",")))


def _several(addresses: str) -> str:
    for address in _parts(addresses):
        try:
            _ADDRESS.validate_python(address)
        except ValidationError as error:
            raise error.errors()[0]["ctx"]["error"] from None
    return addresses


class Settings(ServiceSettings):
    """Read from DEVTEAM_PLANNER_... variables of the environment."""

    model_config = SettingsConfigDict(env_prefix=PREFIX)

    database_url: DatabaseUrl = "sqlite:///planner.db"
    """What to remember in: memory, sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/NAME."""
    port: int = Field(default=7403, ge=0, le=65535)
    """The port to listen at; 0 takes a free one."""
    router_address: Annotated[str, AfterValidator(_several)] = "http://127.0.0.1:7402"
    """Where the Router is; several, comma-separated, where there are several. All Planners name the same."""
    registry_address: Address | None = Field(default=None, validate_default=True)
    """Where the Registry is, which tells of keys; needed where callers are asked for one."""
    temporal_address: HostPort = "127.0.0.1:7233"
    """Where Temporal is: host:port."""
    temporal_namespace: str = "default"
    """Whose workflows they are, in Temporal."""
    temporal_task_queue: str = "devteam-plans"
    """The task queue in Temporal. All Planners of a mesh name the same."""
    temporal_tls: bool = False
    """Speak TLS to Temporal; so it does, too, once one of the files or the key is given."""
    temporal_tls_ca_file: PemFile = None
    """PEM file: who signed Temporal's certificate. None: whom the machine trusts."""
    temporal_tls_cert_file: PemFile = None
    """PEM file: the certificate to show to Temporal."""
    temporal_tls_key_file: PemFile = None
    """PEM file: the key of that certificate."""
    temporal_api_key: SecretStr = SecretStr("")
    """A key of Temporal Cloud."""
    max_running_steps: int = Field(default=10_000, ge=1)
    """Steps that this process drives at the same time, those that wait for a worker included."""
    takeover_s: float = Field(default=TAKEOVER, ge=2, le=45)
    """Seconds until another Planner takes over the steps of one that died. Each step that waits or runs is a write in
    Temporal every 0.8 of it. Less than a Router keeps what nobody asks for (its ORPHAN_GRACE_S)."""
    max_open_per_queue: int = Field(default=100_000, ge=1)
    """Tasks that may be accepted and not have ended in one queue. Creates beyond them are refused."""
    max_open_per_tenant: int = Field(default=100_000, ge=1)
    """Tasks that may be accepted and not have ended of one tenant. Creates beyond them are refused."""
    watch_poll_s: float = Field(default=0.5, gt=0)
    """How often, in seconds, a watch looks for what other Planners on the same database wrote."""
    retention_days: float = Field(default=0, ge=0, le=36_500, allow_inf_nan=False)
    """Ended plans are erased so many days later. 0: they are kept."""
    migrate_at_start: bool = True
    """Bring the schema of the database up to date at the start. Off: `devteam migrate` does it, and until then no start
    succeeds."""
    encryption_keys_file: Path | None = None
    """Keys for prompts, inputs, outputs and tokens in the database: lines of "ID BASE64KEY", the first encrypts, all
    decrypt. None: nothing is encrypted."""

    @field_validator("registry_address")
    @classmethod
    def _known_with_keys(cls, address: str | None, told: ValidationInfo) -> str | None:
        if address is None and told.data.get("keys"):
            raise ValueError(
                f"must be set where {cls._variable('keys')} is on: the Registry tells which keys are valid"
            )
        return address

    @field_validator("temporal_tls_key_file")
    @classmethod
    def _with_temporals_certificate(cls, key: Path | None, told: ValidationInfo) -> Path | None:
        if (key is None) != (told.data.get("temporal_tls_cert_file") is None):
            raise ValueError(f"goes with {cls._variable('temporal_tls_cert_file')}: name both files, or none")
        return key

    @property
    def temporal_tls_files(self) -> TlsFiles | None:
        """What is shown to Temporal, and whom it is believed by; None: plain text is spoken."""
        files = TlsFiles(self.temporal_tls_cert_file, self.temporal_tls_key_file, self.temporal_tls_ca_file)
        wanted = self.temporal_tls or self.temporal_api_key.get_secret_value() or files != TlsFiles()
        return files if wanted else None

    @property
    def router_addresses(self) -> tuple[str, ...]:
        """The Routers, each of them once."""
        return _parts(self.router_address)
