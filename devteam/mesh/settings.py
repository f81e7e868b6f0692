"""What every service's process is told by its environment, and how wrong words are refused."""

import json
import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from devteam.mesh.access.certificates import Identity
from devteam.mesh.access.peer import Network
from devteam.mesh.address import is_loopback, target_of
from devteam.mesh.errors import InvalidInput, Violation

# host:port, or a target that names gRPC's resolver.
_HOST_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):\d{1,5}")
_TARGET = re.compile(r"(dns|ipv4|ipv6|unix|unix-abstract):\S+")
_DRIVERS = ("sqlite", "postgresql+psycopg")


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _address(value: str) -> str:
    if value.startswith(("http://", "https://")):
        try:
            target_of(value)
        except InvalidInput as error:
            raise ValueError(error.violations[0].message) from None
    elif not _HOST_PORT.fullmatch(value) and not _TARGET.fullmatch(value):
        raise ValueError(f"{value!r} is not of the form http://host:port")
    return value


def _host_port(value: str) -> str:
    if not _HOST_PORT.fullmatch(value):
        raise ValueError(f"{value!r} is not of the form host:port")
    return value


def _database(value: str) -> str:
    try:
        known = value == "memory" or make_url(value).drivername in _DRIVERS
    except (ArgumentError, ValueError):
        known = False
    if not known:
        # The value may hold a password.
        raise ValueError("must be memory, sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/NAME")
    return value


def _network(value: object) -> Network:
    try:
        return ip_network(str(value), strict=False)
    except ValueError:
        raise ValueError(f"{value!r} is no address or network, such as 10.0.0.7 or 10.0.0.0/8") from None


def _from_json(value: object) -> object:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError("is not valid JSON") from None


Address = Annotated[str, AfterValidator(_address)]
HostPort = Annotated[str, AfterValidator(_host_port)]
DatabaseUrl = Annotated[str, AfterValidator(_database)]
LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_upper)]
# For lists and mappings: decoded here, so that a wrong one is refused together with everything else that is wrong.
FROM_JSON = (NoDecode, BeforeValidator(_from_json))
Addresses = Annotated[list[Address], *FROM_JSON]


Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Burst = Annotated[int, Field(ge=1)]
ProxyNetwork = Annotated[Network, BeforeValidator(_network)]


class ServiceSettings(BaseSettings):
    """Where a service listens, and what it tells of itself. Its `env_prefix` is that of its variables.

    Raises InvalidInput with everything that is wrong, by the names of the variables.
    """

    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65535)
    # Said on purpose: listen beyond this machine without TLS and keys.
    insecure: bool = False
    # PEM files. With the first two the service speaks TLS, and shows the same certificate to services that it calls.
    tls_cert_file: Path | None = None
    tls_key_file: Path | None = None
    # Who signs the certificates that it trusts. None: whom the machine trusts.
    tls_ca_file: Path | None = None
    # Speak only with those who show a certificate that tls_ca_file signed.
    tls_client_certs: bool = False
    # Ask every caller for a key.
    keys: bool = False
    # What the services of the mesh know each other by; the same for all of them. Or the file that holds it.
    mesh_key: SecretStr = SecretStr("")
    mesh_key_file: Path | None = None
    # Certificates that are as good as a key, where tls_client_certs has callers show one: a JSON list of
    # {"uri": "spiffe://mesh/workers/*", "role": "worker", "worker_id_from_uri": true}.
    identities: Annotated[list[Identity], *FROM_JSON] = Field(default_factory=list)
    # Whose x-forwarded-for is believed: a JSON list of addresses and networks, ["10.0.0.0/8"].
    trusted_proxies: Annotated[list[ProxyNetwork], *FROM_JSON] = Field(default_factory=list)
    # What each key may do: calls a second on average, and at once. 0 a second: as many as it wants.
    creates_per_second: Amount = 50.0
    creates_burst: Burst = 1_000
    reads_per_second: Amount = 200.0
    reads_burst: Burst = 1_000
    writes_per_second: Amount = 20.0
    writes_burst: Burst = 100
    # Streams that each key may have open; 0: any number.
    streams_per_key: int = Field(default=1_000, ge=0)
    # What is read of each stream; beyond that its sender waits. 0: everything.
    stream_messages_per_second: Amount = 2_000.0
    stream_bytes_per_second: Amount = 8.0 * 1024 * 1024
    # Where the audit log is written. None: among the other log lines.
    audit_file: Path | None = None
    # Serve /metrics at this port, on the same host; 0 takes a free one. None: nowhere.
    metrics_port: int | None = Field(default=None, ge=0, le=65535)
    # The file that spans are kept in, also those of others, unless an OTLP endpoint is configured.
    trace_file: Path | None = None
    log_level: LogLevel = "INFO"

    def __init__(self, **given: Any) -> None:
        try:
            super().__init__(**given)
        except ValidationError as error:
            raise InvalidInput(*_violations(error, str(self.model_config.get("env_prefix", "")))) from None

    @field_validator("insecure")
    @classmethod
    def _exposed_on_purpose(cls, insecure: bool, told: ValidationInfo) -> bool:  # noqa: FBT001 - pydantic's signature
        host = told.data.get("host", "")
        if host and not insecure and not is_loopback(host):
            raise ValueError(
                f"must be true to listen on {host}: anyone who can reach this machine could run work on it, because "
                "TLS and API keys are off; or listen on 127.0.0.1"
            )
        return insecure


def variable(prefix: str, field: str) -> str:
    """The name of the variable that sets `field`."""
    return f"{prefix}{field}".upper()


def _violations(error: ValidationError, prefix: str) -> list[Violation]:
    return [
        Violation(_place(prefix, item["loc"]), "INVALID_VALUE", _sentence(item["msg"]))
        for item in error.errors(include_url=False, include_input=False, include_context=False)
    ]


def _place(prefix: str, loc: tuple[str | int, ...]) -> str:
    inner = "".join(f"[{part}]" for part in loc[1:])
    return variable(prefix, str(loc[0])) + inner if loc else prefix


def _sentence(message: str) -> str:
    message = message.removeprefix("Value error, ").replace("Input should be", "must be")
    return message[:1].lower() + message[1:]
