"""What a worker is told: flags win over the environment, the environment over the file, the file over defaults."""

import platform
import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_settings import BaseSettings, InitSettingsSource, SettingsConfigDict

from devteam.mesh.address import DEFAULT_URL, is_loopback
from devteam.mesh.errors import InvalidInput
from devteam.mesh.tls import TlsFiles
from devteam.mesh.validation import Violations
from devteam_worker.membership import Membership
from devteam_worker.models import DEFAULT_ALIASES
from devteam_worker.settings_file import read_file
from devteam_worker.settings_joined import membership_layer, origin_of
from devteam_worker.settings_layers import (
    Layer,
    environment_layer,
    file_layer,
    flag_layer,
    named_queues,
    note_errors,
    origins,
)
from devteam_worker.settings_sections import (
    AnthropicSettings,
    DataSourceSettings,
    HeartbeatSettings,
    LocationSettings,
    McpServerSettings,
    OllamaSettings,
    OpenAISettings,
    PriceSettings,
    QueueSettings,
    ResourceSettings,
    SimSettings,
    ToolSettings,
)
from devteam_worker.settings_words import NAME_LENGTH, Address, HomePath, Milliseconds, Name, Slots, named, upper

DEFAULT_CONCURRENCY = 4

# Half of what models take as the name of a tool.
_TOOL_GROUP = re.compile(r"[A-Za-z0-9_-]{1,32}")


_PEM_FILES = ("caFile", "certFile", "keyFile")


class WorkerSettings(BaseSettings):
    """Everything a worker is told. Complete once `load_settings` returns it: ids, queues and address are filled in."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_default=False,
        case_sensitive=True,
    )

    # Stable over restarts. Left out: made of the host's name and the first queue's.
    worker_id: Name = Field("", alias="id")
    api_url: Address = ""
    # Never from a file.
    api_key: SecretStr = SecretStr("")
    # PEM files, for an https:// address: who signed the mesh's certificate (None: a public authority), and the
    # certificate to show to it.
    ca_file: HomePath | None = None
    cert_file: HomePath | None = None
    key_file: HomePath | None = None
    queues: tuple[QueueSettings, ...] = Field((), max_length=64)
    # Attempts at a time over all queues; 0 means the sum over the queues.
    concurrency: Slots = 0
    # What one of its slots counts for beside other workers': 4 for a machine that is four times as fast.
    weight: float = Field(1.0, ge=0.01, le=100)
    resources: ResourceSettings = ResourceSettings()
    heartbeat: HeartbeatSettings = HeartbeatSettings()
    labels: dict[str, str] = Field({}, max_length=64)
    location: LocationSettings = LocationSettings()
    # Each a name alone, or a name with a place.
    data_sources: tuple[Annotated[DataSourceSettings, BeforeValidator(named)], ...] = Field((), max_length=64)
    provider: Literal["auto", "anthropic", "ollama", "openai", "sim"] = "auto"
    # Put over the built-in ones.
    aliases: dict[str, str] = {}
    # By patterns of models, named as their provider names them; put before the built-in ones.
    prices: dict[str, PriceSettings] = Field({}, max_length=256)
    anthropic: AnthropicSettings = AnthropicSettings()
    ollama: OllamaSettings = OllamaSettings()
    openai: OpenAISettings = OpenAISettings()
    sim: SimSettings = SimSettings()
    # How long runs may go on once the worker drains; shorter than the 30 s that Kubernetes gives.
    drain_deadline_ms: Milliseconds = 25_000
    # How often a run may ask its model while it calls tools, where the task says nothing.
    max_turns: int = Field(16, ge=1, le=1_000)
    tools: ToolSettings = ToolSettings()
    mcp_servers: dict[str, McpServerSettings] = Field({}, max_length=64)
    # A model that says nothing for so long has failed.
    progress_timeout_ms: Milliseconds = 300_000
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(upper)] = "INFO"
    # Serve /metrics at this port (0: nowhere), for this machine alone unless another of its addresses is named.
    metrics_port: int = Field(0, ge=0, le=65_535)
    # Said on purpose: others may read it, without TLS and keys. Before the address, which is checked with it in hand.
    metrics_insecure: bool = False
    metrics_host: str = Field("127.0.0.1", min_length=1)
    # The file that spans are kept in; None: they go to the mesh. An OTLP endpoint in the environment wins over both.
    trace_file: Path | None = None

    @property
    def tls(self) -> TlsFiles | None:
        """What it shows and trusts; None: nothing of its own."""
        files = TlsFiles(self.cert_file, self.key_file, self.ca_file)
        return files if files != TlsFiles() else None

    @field_validator("metrics_host")
    @classmethod
    def _exposed_on_purpose(cls, host: str, told: ValidationInfo) -> str:
        if not is_loopback(host) and not told.data.get("metrics_insecure"):
            raise ValueError(
                "must be an address of this machine alone, as 127.0.0.1, or metricsInsecure must be true: whoever "
                "reaches this page reads which models run here and what they cost, without a key"
            )
        return host

    @model_validator(mode="before")
    @classmethod
    def _name_queues(cls, data: dict[str, Any]) -> dict[str, Any]:
        return named_queues(data)


def load_settings(
    path: Path | None,
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    membership: Membership | None = None,
) -> WorkerSettings:
    """The worker's settings out of its file, its environment and its flags; then of the mesh that it has joined.

    `flags` go by the names of WorkerSettings; `queue` and `models` hold names, in a sequence or comma-separated. Queues
    named so stand in for the file's: one that the file knows keeps what it says of it, and each of them gets the
    concurrency that a flag or the environment gives. Raises InvalidInput with everything that is wrong, by its path in
    the file or by the name of its variable.
    """
    found = Violations()
    from_file = file_layer(WorkerSettings, read_file(path) if path else {}, found)
    if path:
        _beside(path, from_file)
    from_environ = environment_layer(environ, found)
    from_flags = flag_layer(WorkerSettings, flags, found)
    said = (from_flags, from_environ, from_file)
    layers = (*said, membership_layer(WorkerSettings, membership, said))
    sources = tuple(InitSettingsSource(WorkerSettings, layer) for layer in layers)
    try:
        settings = _completed(WorkerSettings(_build_sources=(sources, {})))
    except ValidationError as error:
        note_errors(error, origins(environ, from_flags), found)
        raise InvalidInput(*found.items) from None
    _check(settings, found)
    found.raise_if_any()
    return settings


def _beside(file: Path, layer: Layer) -> None:
    """Let relative paths of data sources and certificates begin where the file lies."""
    for name in _PEM_FILES:
        place = layer.get(name)
        if isinstance(place, str) and place and not place.startswith("~"):
            layer[name] = str(file.absolute().parent / place)
    sources = layer.get("dataSources")
    for source in sources if isinstance(sources, list) else ():
        place = source.get("path") if isinstance(source, dict) else None
        if isinstance(place, str) and place and not place.startswith("~"):
            source["path"] = str(file.absolute().parent / place)


def _completed(settings: WorkerSettings) -> WorkerSettings:
    """With everything filled in that follows from something else."""
    slots = settings.concurrency or DEFAULT_CONCURRENCY
    return settings.model_copy(
        update={
            "worker_id": settings.worker_id or _default_id(settings.queues[0].name),
            "api_url": settings.api_url or origin_of(settings.heartbeat.endpoint) or DEFAULT_URL,
            "queues": tuple(
                queue.model_copy(update={"concurrency": queue.concurrency or slots}) for queue in settings.queues
            ),
            "aliases": {**DEFAULT_ALIASES, **settings.aliases},
        }
    )


def _default_id(queue: str) -> str:
    """The same at every start on the same machine."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", f"{platform.node() or 'worker'}-{queue}")[:NAME_LENGTH]


def _check(settings: WorkerSettings, found: Violations) -> None:
    if (settings.cert_file is None) != (settings.key_file is None):
        missing, given = ("keyFile", "certFile") if settings.cert_file else ("certFile", "keyFile")
        found.add(f"worker.{missing}", "INVALID_VALUE", f"goes with {given}: name both files, or none")
    names = [queue.name for queue in settings.queues]
    for index, name in enumerate(names):
        if name in names[:index]:
            found.add(f"worker.queues[{index}].name", "QUEUE_TWICE", f"is {name!r}, as another queue's")
    for name in settings.mcp_servers:
        if not _TOOL_GROUP.fullmatch(name):
            message = "is part of its tools' names, so that it must be 1 to 32 characters of A-Z a-z 0-9 _ -"
            found.add(f"worker.mcpServers.{name}", "ID_FORMAT", message)
    names = [source.name for source in settings.data_sources]
    for index, name in enumerate(names):
        if name in names[:index]:
            found.add(f"worker.dataSources[{index}].name", "DATA_SOURCE_TWICE", f"is {name!r}, as another one's")
        elif name in settings.mcp_servers:
            message = f"is {name!r}, as an MCP server's: their tools would have the same names"
            found.add(f"worker.dataSources[{index}].name", "DATA_SOURCE_TWICE", message)
    with found.at("worker.heartbeat"):
        _check_order(settings.heartbeat, found)


def _check_order(heartbeat: HeartbeatSettings, found: Violations) -> None:
    """Each timing given must come after the ones before it, and two beats must fit before a worker is unhealthy."""
    timings = heartbeat.model_dump(by_alias=True, exclude={"endpoint"}, exclude_none=True)
    if "intervalMs" in timings:
        timings["intervalMs"] = 2 * timings["intervalMs"]
    for (before, earlier), (name, later) in pairwise(timings.items()):
        if before == "intervalMs" and later < earlier:
            found.add(name, "HEARTBEAT_ORDER", f"is {later}; must be at least twice intervalMs, which makes {earlier}")
        elif before != "intervalMs" and later <= earlier:
            found.add(name, "HEARTBEAT_ORDER", f"is {later}; must be more than {before}, which is {earlier}")
