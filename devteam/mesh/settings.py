"""What every service's process is told by its environment, and how wrong words are refused."""

import json
import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from devteam.mesh.access.certificates import Identity
from devteam.mesh.access.peer import Network
from devteam.mesh.address import is_loopback, target_of
from devteam.mesh.errors import InvalidInput, Violation
from devteam.mesh.exposure import lacking
from devteam.mesh.tls import TlsFiles

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
    # Imported for those alone who have a database: a Router, which has none, starts a quarter sooner.
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

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


def _named(value: object) -> object:
    """An empty variable names no file."""
    return None if value == "" else value


Address = Annotated[str, AfterValidator(_address)]
HostPort = Annotated[str, AfterValidator(_host_port)]
DatabaseUrl = Annotated[str, AfterValidator(_database)]
LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_upper)]
# For lists and mappings: decoded here, so that a wrong one is refused together with everything else that is wrong.
FROM_JSON = (NoDecode, BeforeValidator(_from_json))
Addresses = Annotated[list[Address], *FROM_JSON]
PemFile = Annotated[Path | None, BeforeValidator(_named)]


Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Burst = Annotated[int, Field(ge=1)]
ProxyNetwork = Annotated[Network, BeforeValidator(_network)]


class ServiceSettings(BaseSettings):
    """Where a service listens, and what it tells of itself. Its `env_prefix` is that of its variables.

    Raises InvalidInput with everything that is wrong, by the names of the variables.
    """

    model_config = SettingsConfigDict(use_attribute_docstrings=True)

    host: str = "127.0.0.1"
    """The address to listen at."""
    port: int = Field(default=0, ge=0, le=65535)
    """The port to listen at; 0 takes a free one."""
    tls_cert_file: PemFile = None
    """PEM file: with it and its key the service speaks TLS, and shows this certificate to services that it calls."""
    tls_key_file: PemFile = None
    """PEM file: the key of the certificate."""
    tls_ca_file: PemFile = None
    """PEM file: who signs the certificates that it trusts. None: whom the machine trusts."""
    tls_client_certs: bool = False
    """Speak only with those who show a certificate that the authority of the CA file signed."""
    keys: bool = False
    """Ask every caller for a key."""
    mesh_key: SecretStr = SecretStr("")
    """What the services of the mesh know each other by; the same for all of them."""
    mesh_key_file: Path | None = None
    """The file that holds the mesh key."""
    identities: Annotated[list[Identity], *FROM_JSON] = Field(default_factory=list)
    """Certificates that are as good as a key, where callers are asked for one: a JSON list of
    {"uri": "spiffe://mesh/workers/*", "role": "worker", "worker_id_from_uri": true}."""
    trusted_proxies: Annotated[list[ProxyNetwork], *FROM_JSON] = Field(default_factory=list)
    """Whose x-forwarded-for is believed: a JSON list of addresses and networks, ["10.0.0.0/8"]."""
    creates_per_second: Amount = 50.0
    """What each key may create a second, on average. 0: as much as it wants."""
    creates_burst: Burst = 1_000
    """What each key may create at once."""
    reads_per_second: Amount = 200.0
    """What each key may read a second, on average. 0: as much as it wants."""
    reads_burst: Burst = 1_000
    """What each key may read at once."""
    writes_per_second: Amount = 20.0
    """What each key may write a second, on average. 0: as much as it wants."""
    writes_burst: Burst = 100
    """What each key may write at once."""
    spans_per_second: Amount = 2_000.0
    """Spans that are kept of each key a second, on average; each KiB of them counts as one. 0: all."""
    spans_burst: Burst = 20_000
    """Spans that are kept of each key at once."""
    streams_per_key: int = Field(default=1_000, ge=0)
    """Streams that each key may have open; 0: any number."""
    stream_messages_per_second: Amount = 2_000.0
    """Messages a second that are read of each stream; beyond that its sender waits. 0: all."""
    stream_bytes_per_second: Amount = 8.0 * 1024 * 1024
    """Bytes a second that are read of each stream; beyond that its sender waits. 0: all."""
    audit_file: Path | None = None
    """The file that the audit log is written to. None: it is among the other log lines."""
    # After all that makes it unnecessary.
    insecure: bool = False
    """Said on purpose: listen beyond this machine without TLS and keys."""
    metrics_port: int | None = Field(default=None, ge=0, le=65535)
    """The port to serve /metrics at; 0 takes a free one. None: nowhere."""
    metrics_insecure: bool = False
    """Said on purpose: metrics may be read from beyond this machine, by whoever gets there, without TLS and keys."""
    metrics_host: str = ""
    """Another address of this machine to serve metrics at. None: that of the service."""
    trace_file: Path | None = None
    """The file that spans are kept in, also those of others, unless an OTLP endpoint is configured."""
    log_level: LogLevel = "INFO"
    """DEBUG, INFO, WARNING or ERROR."""

    def __init__(self, **given: Any) -> None:
        try:
            super().__init__(**given)
        except ValidationError as error:
            raise InvalidInput(*_violations(error, str(self.model_config.get("env_prefix", "")))) from None

    @property
    def tls(self) -> TlsFiles | None:
        """What it shows to callers; None: it speaks plain text."""
        return self.outward_tls if self.tls_cert_file else None

    @property
    def outward_tls(self) -> TlsFiles | None:
        """What it shows to services that it calls, and whom it trusts there; None: nothing of its own."""
        files = TlsFiles(self.tls_cert_file, self.tls_key_file, self.tls_ca_file)
        return files if files != TlsFiles() else None

    @property
    def metrics_at(self) -> str:
        """The address to serve metrics at."""
        return self.metrics_host or self.host

    @field_validator("tls_key_file")
    @classmethod
    def _with_certificate(cls, key: Path | None, told: ValidationInfo) -> Path | None:
        if "tls_cert_file" in told.data and (key is None) != (told.data["tls_cert_file"] is None):
            missing = "key" if key is None else "certificate"
            raise ValueError(f"goes with {cls._variable('tls_cert_file')}, and the file of the {missing} is not named")
        return key

    @field_validator("tls_client_certs")
    @classmethod
    def _with_authority(cls, asks: bool, told: ValidationInfo) -> bool:  # noqa: FBT001 - pydantic's signature
        needed = [name for name in ("tls_cert_file", "tls_ca_file") if name in told.data and told.data[name] is None]
        if asks and needed:
            raise ValueError(f"needs {' and '.join(map(cls._variable, needed))}, to ask callers for certificates")
        return asks

    @field_validator("insecure")
    @classmethod
    def _exposed_on_purpose(cls, insecure: bool, told: ValidationInfo) -> bool:  # noqa: FBT001 - pydantic's signature
        host, given = told.data.get("host", ""), told.data.get
        asks = bool(given("keys") or given("tls_client_certs"))
        if not insecure and (missing := host and lacking(host, tls=bool(given("tls_cert_file")), asks=asks)):
            raise ValueError(
                f"must be true to listen on {host}: anyone who can reach this machine could run work on it or read "
                f"along, because it lacks {missing} ({cls._what_to_set(missing)}); or listen on 127.0.0.1"
            )
        return insecure

    @field_validator("metrics_host")
    @classmethod
    def _read_on_purpose(cls, host: str, told: ValidationInfo) -> str:
        given = told.data.get
        wanted = given("metrics_port") is not None and not (given("metrics_insecure") or given("insecure"))
        if wanted and not is_loopback(host or given("host", "127.0.0.1")):
            raise ValueError(
                f"must be an address of this machine alone, as 127.0.0.1, or {cls._variable('metrics_insecure')} must "
                "be true: whoever reaches the page of metrics reads how the mesh works, without TLS and keys"
            )
        return host

    @classmethod
    def _what_to_set(cls, missing: str) -> str:
        names = [] if "TLS" not in missing else ["tls_cert_file", "tls_key_file"]
        return ", ".join(map(cls._variable, [*names, *(["keys"] if "keys" in missing else [])]))

    @classmethod
    def _variable(cls, field: str) -> str:
        return variable(str(cls.model_config.get("env_prefix", "")), field)


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
