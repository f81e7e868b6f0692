"""What a provider is: a prompt goes in, tokens come out, and the last item says how it ended."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as a model sees it. `name` has 1 to 64 characters of [A-Za-z0-9_-]; `parameters` is a JSON Schema."""

    name: str
    description: str
    parameters: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Text:
    """Part of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Thinking:
    """Part of the model's thinking; not part of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Progress:
    """What is done before or beside the answer, for people."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to call a tool; `arguments` is JSON."""

    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What the tool answered, and where that comes from ("mcp:files", "function")."""

    call_id: str
    content: str
    is_error: bool = False
    source: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """What a model said before, as its provider put it into `Ended.reply`, and what its calls brought."""

    reply: object
    results: tuple[ToolResult, ...] = ()


@dataclass(frozen=True, slots=True)
class Prompt:
    """One question to a model, and what has been said since.

    `model` is named as the task names it. `max_tokens` 0 and an empty `effort` leave the choice to the provider.
    `options` are the provider's own; numbers may come as floats, since they travelled as JSON. `tools` are names as the
    task has them, and `max_turns` is its bound; the agent makes `offered` of them, tools that the worker calls, and
    `provided`, those that the provider calls by itself.
    """

    model: str
    prompt: str
    system_prompt: str = ""
    tools: tuple[str, ...] = ()
    max_tokens: int = 0
    effort: str = ""
    options: Mapping[str, object] = field(default_factory=dict)
    max_turns: int = 0
    offered: tuple[ToolSpec, ...] = ()
    provided: tuple[str, ...] = ()
    turns: tuple[Turn, ...] = ()

    @property
    def texts(self) -> list[str]:
        """All that is sent to the model, but for what it said itself."""
        results = [result.content for turn in self.turns for result in turn.results]
        return [self.prompt, self.system_prompt, *results]


# What a provider hands out while it hears something that is no token yet: its model is at work.
ALIVE = Progress("")

Token = Text | Thinking | Progress | ToolCall | ToolResult


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the provider counts them; `input_tokens` includes the cached ones. None: the price is not known."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cost_usd: float | None = None

    def __add__(self, other: "Usage") -> "Usage":
        """What two turns took together; of which both prices must be known."""
        if self == Usage():
            return other
        known = self.cost_usd is not None and other.cost_usd is not None
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cache_read_tokens + other.cache_read_tokens,
            self.cache_write_tokens + other.cache_write_tokens,
            (self.cost_usd or 0.0) + (other.cost_usd or 0.0) if known else None,
        )


@dataclass(frozen=True, slots=True)
class Ended:
    """The model stopped: its name and its reason, both in the provider's words.

    `reply` is all that it said, in the form in which the provider wants it back with the results of its calls.
    `unfinished`: it stopped in the middle of what the provider calls by itself; ask again with the reply.
    """

    model: str
    stop_reason: str
    usage: Usage
    reply: object = field(default=None, compare=False, repr=False)
    unfinished: bool = False


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model that lies on this machine, named as tasks name it."""

    name: str
    resident: bool = False
    size_bytes: int = 0


class FailureReason(StrEnum):
    """Why a run failed: the contract's FailureReason, name by name, without its prefix."""

    INVALID_REQUEST = "INVALID_REQUEST"
    MODEL_NOT_FOUND = "MODEL_NOT_FOUND"
    CREDENTIALS = "CREDENTIALS"
    RATE_LIMITED = "RATE_LIMITED"
    PROVIDER_UNAVAILABLE = "PROVIDER_UNAVAILABLE"
    PROVIDER_CONNECTION = "PROVIDER_CONNECTION"
    REFUSED = "REFUSED"
    TRUNCATED = "TRUNCATED"
    TIMEOUT = "TIMEOUT"
    SCHEDULE_TIMEOUT = "SCHEDULE_TIMEOUT"
    WORKER_LOST = "WORKER_LOST"
    POISON = "POISON"
    HANDLER = "HANDLER"
    PROMPT_TOO_LARGE = "PROMPT_TOO_LARGE"
    OUTPUT_TOO_LARGE = "OUTPUT_TOO_LARGE"
    INTERNAL = "INTERNAL"
    MAX_TURNS = "MAX_TURNS"


_PASSING = frozenset(
    {FailureReason.RATE_LIMITED, FailureReason.PROVIDER_UNAVAILABLE, FailureReason.PROVIDER_CONNECTION}
)


class ProviderError(Exception):
    """A run that a provider could not finish.

    `message` is a sentence for the task's owner and holds no secret. `retryable` says whether another attempt could
    succeed; left open, the reason decides. `retry_after` is in seconds, where the provider asked for it.
    """

    def __init__(
        self,
        reason: FailureReason,
        message: str,
        *,
        retryable: bool | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.retryable = reason in _PASSING if retryable is None else retryable
        self.retry_after = retry_after


class Provider(Protocol):
    """A source of models.

    `shared`: other machines ask the same one, so that its wish to be left alone is everybody's business.
    """

    name: str
    shared: bool

    def tools(self, model: str) -> tuple[str, ...]:
        """Names of the tools that it calls by itself for this model, named as the task names it; "": for any model."""

    def stream(self, prompt: Prompt) -> AsyncGenerator[Token | Ended, None]:
        """Ask for one turn, and hand out tokens as they come; the last item is Ended. Raises ProviderError.

        A ToolCall to a tool that was `offered` is whole, and names the tool as its ToolSpec does; the asker carries it
        out. ALIVE says that the model is at work on something that takes its time. What the provider calls by itself
        comes as a ToolCall and its ToolResult. Closing the generator, or cancelling the task that waits for its next
        item, closes the model's connection.
        """

    async def models(self) -> list[LocalModel]:
        """What lies on this machine; nothing for a provider in the cloud. Raises ProviderError."""

    async def close(self) -> None:
        """Let go of connections."""
