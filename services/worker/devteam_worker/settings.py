"""What a worker is told: flags win over the environment, the environment over the file, the file over defaults."""

import platform
import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_settings import BaseSettings, InitSettingsSource, SettingsConfigDict

from devteam.mesh.address import DEFAULT_URL, target_of
from devteam.mesh.errors import InvalidInput
from devteam.mesh.validation import NAME_PATTERN, Violations
from devteam_worker.models import DEFAULT_ALIASES
from devteam_worker.settings_file import read_file
from devteam_worker.settings_layers import (
    Layer,
    environment_layer,
    file_layer,
    flag_layer,
    named_queues,
    note_errors,
    origins,
)

DEFAULT_CONCURRENCY = 4

_DAY_MS = 86_400_000
_NAME_LENGTH = 128
# Half of what models take as the name of a tool.
_TOOL_GROUP = re.compile(r"[A-Za-z0-9_-]{1,32}")
# As Go writes them, which is what Ollama reads.
_DURATION = re.compile(r"-?(\d+(\.\d+)?(ms|s|m|h))+")


def _address(value: str) -> str:
    try:
        target_of(value)
    except InvalidInput as error:
        raise ValueError(error.violations[0].message) from None
    return value


def _web_url(value: str) -> str:
    parts = urlsplit(value)
    if value and (parts.scheme not in {"http", "https"} or not parts.hostname):
        raise ValueError("must be of the form http://host:port")
    return value


def _web_url_to_be(value: str) -> str:
    # What a variable stands for is looked at once it is known.
    return value if "${" in value else _web_url(value)


def _host(value: str) -> str:
    try:
        _ = urlsplit(value if "://" in value else f"//{value}").port
    except ValueError:
        raise ValueError("must be of the form host:port") from None
    return value


def _duration(value: object) -> object:
    seconds = isinstance(value, int) and not isinstance(value, bool)
    if value is None or seconds or (isinstance(value, str) and _DURATION.fullmatch(value)):
        return value
    raise ValueError("must be a time like 30m or 1h30m, or a number of seconds")


def _name(value: str) -> str:
    if len(value) > _NAME_LENGTH or not NAME_PATTERN.fullmatch(value):
        raise ValueError(f"must be 1 to {_NAME_LENGTH} characters of A-Z a-z 0-9 . _ -")
    return value


def _named_folder(value: object) -> object:
    # It would be the one that the worker was started in.
    if value == "":
        raise ValueError("must name a folder")
    return value


def _at_home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:
        raise ValueError("begins in a home folder that cannot be found") from None


def _named(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


Name = Annotated[str, AfterValidator(_name)]
Slots = Annotated[int, Field(ge=0, le=10_000)]
Milliseconds = Annotated[int, Field(ge=1, le=_DAY_MS)]
Address = Annotated[str, AfterValidator(_address)]
WebUrl = Annotated[str, AfterValidator(_web_url)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True)


class QueueSettings(_Section):
    """A queue to serve. `models` are patterns; none means: what the worker's providers serve."""

    name: Name
    # Left out: the worker's concurrency.
    concurrency: Slots = 0
    models: tuple[str, ...] = Field((), max_length=256)


class ResourceSettings(_Section):
    """The machine as its owner declares it; None leaves it to detection. `ram_gb` in 10^9 bytes."""

    gpu: bool | None = None
    gpu_model: str | None = Field(None, max_length=_NAME_LENGTH)
    ram_gb: float | None = Field(None, alias="ramGB", ge=0, le=65_536)
    cpu_cores: int | None = Field(None, ge=0, le=4_096)


class HeartbeatSettings(_Section):
    """The timings that the worker's owner counts on. The Registry decides; None counts on nothing."""

    interval_ms: Milliseconds | None = None
    endpoint: WebUrl = ""
    unhealthy_after_ms: Milliseconds | None = None
    rebalance_after_ms: Milliseconds | None = None
    deregister_after_ms: Milliseconds | None = None


class LocationSettings(_Section):
    """Where the worker stands, each part narrowing the one before it."""

    region: str = ""
    zone: str = ""
    host: str = ""


class AnthropicSettings(_Section):
    """Where Claude models are asked; empty means the SDK's default."""

    base_url: WebUrl = ""


class OllamaSettings(_Section):
    """Where Ollama listens, as in OLLAMA_HOST (empty means this machine), and what it may take of the machine."""

    host: Annotated[str, AfterValidator(_host)] = ""
    # Fetch a model that a task asks for and that is not there.
    auto_pull: bool = False
    # How long a model stays in memory after a run, where the task says nothing: "30m", or seconds.
    keep_alive: Annotated[str | int | None, BeforeValidator(_duration)] = None
    # Tokens that a model may be given to read at once, however many it could; None: as many as it can.
    num_ctx: int | None = Field(None, ge=256, le=16_777_216)


class OpenAISettings(_Section):
    """The OpenAI-compatible server that `openai:...` models are asked at; empty means OpenAI itself, given a key."""

    base_url: WebUrl = ""


class ToolSettings(_Section):
    """Which tools tasks may use, by patterns of names ("docs.*"), and what one call may take."""

    allow: tuple[str, ...] = ("*",)
    timeout_ms: Milliseconds = 60_000
    # What a model gets to see of one answer.
    answer_bytes: int = Field(65_536, ge=256, le=1_048_576)


class McpServerSettings(_Section):
    """An MCP server, as Claude and editors name it: a `command` that speaks on its pipes, or a `url`."""

    command: str = ""
    args: tuple[str, ...] = ()
    # In args, env, url and headers, ${NAME} stands for a variable of the worker's own environment, so that no secret
    # lies in the file.
    env: dict[str, str] = {}
    cwd: str = ""
    url: Annotated[str, AfterValidator(_web_url_to_be)] = ""
    headers: dict[str, str] = {}
    # Editors write it beside what says the same.
    type: Literal["", "stdio", "http", "streamable-http"] = ""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.command) == bool(self.url):
            raise ValueError("must have either a command or a url")
        return self


class DataSourceSettings(_Section):
    """Data that is close at hand. With a `path` to a folder of documents, tasks can search it: tool `NAME.search`."""

    name: Name
    # In a file: relative to the file's folder.
    path: Annotated[Path, BeforeValidator(_named_folder), AfterValidator(_at_home)] | None = None
    # For people, and for tools that know it.
    url: WebUrl = ""


class PriceSettings(_Section):
    """US dollars for a million tokens; what is left out of the cache costs what the input does."""

    input: float = Field(ge=0, le=1_000_000)
    output: float = Field(ge=0, le=1_000_000)
    cache_read: float | None = Field(None, ge=0, le=1_000_000)
    cache_write: float | None = Field(None, ge=0, le=1_000_000)


class SimSettings(_Section):
    """How fast the simulated model answers when a task says nothing; 0 tokens a second is as fast as possible."""

    tokens_per_second: float = Field(50.0, ge=0, le=1_000_000)
    first_token_ms: float = Field(100.0, ge=0, le=600_000)


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
    data_sources: tuple[Annotated[DataSourceSettings, BeforeValidator(_named)], ...] = Field((), max_length=64)
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
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_upper)] = "INFO"
    # Where spans are written as lines of JSON; None: nowhere.
    trace_file: Path | None = None

    @model_validator(mode="before")
    @classmethod
    def _name_queues(cls, data: dict[str, Any]) -> dict[str, Any]:
        return named_queues(data)


def load_settings(path: Path | None, flags: Mapping[str, object], environ: Mapping[str, str]) -> WorkerSettings:
    """The worker's settings out of its file, its environment and its flags.

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
    sources = tuple(InitSettingsSource(WorkerSettings, layer) for layer in (from_flags, from_environ, from_file))
    try:
        settings = _completed(WorkerSettings(_build_sources=(sources, {})))
    except ValidationError as error:
        note_errors(error, origins(environ, from_flags), found)
        raise InvalidInput(*found.items) from None
    _check(settings, found)
    found.raise_if_any()
    return settings


def _beside(file: Path, layer: Layer) -> None:
    """Let relative paths of data sources begin where the file lies."""
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
            "api_url": settings.api_url or _origin(settings.heartbeat.endpoint) or DEFAULT_URL,
            "queues": tuple(
                queue.model_copy(update={"concurrency": queue.concurrency or slots}) for queue in settings.queues
            ),
            "aliases": {**DEFAULT_ALIASES, **settings.aliases},
        }
    )


def _default_id(queue: str) -> str:
    """The same at every start on the same machine."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", f"{platform.node() or 'worker'}-{queue}")[:_NAME_LENGTH]


def _origin(url: str) -> str:
    """Scheme, host and port of a URL, without anybody's password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if url else ""


def _check(settings: WorkerSettings, found: Violations) -> None:
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
