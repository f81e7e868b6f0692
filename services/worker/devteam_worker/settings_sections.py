"""The sections of a worker file."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from devteam_worker.settings_words import (
    NAME_LENGTH,
    Milliseconds,
    Name,
    Slots,
    WebUrl,
    at_home,
    duration,
    host_and_port,
    named_folder,
    web_url_to_be,
)


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
    gpu_model: str | None = Field(None, max_length=NAME_LENGTH)
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

    host: Annotated[str, AfterValidator(host_and_port)] = ""
    # Fetch a model that a task asks for and that is not there.
    auto_pull: bool = False
    # How long a model stays in memory after a run, where the task says nothing: "30m", or seconds.
    keep_alive: Annotated[str | int | None, BeforeValidator(duration)] = None
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
    url: Annotated[str, AfterValidator(web_url_to_be)] = ""
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
    path: Annotated[Path, BeforeValidator(named_folder), AfterValidator(at_home)] | None = None
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
