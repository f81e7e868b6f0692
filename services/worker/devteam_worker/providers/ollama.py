"""Local models through Ollama's own client."""

import asyncio
import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, cast

import httpx
import ollama
import structlog

from devteam_worker.models import DEFAULT_ALIASES, resolve
from devteam_worker.providers.base import (
    Ended,
    FailureReason,
    LocalModel,
    Prompt,
    ProviderError,
    Text,
    Thinking,
    Token,
    Usage,
)
from devteam_worker.providers.detail import public_detail

_log = structlog.get_logger()

PREFIX = "ollama:"

# Seconds: to connect, between two pieces of an answer (loading a model comes before the first), for a list of models.
_CONNECT_TIMEOUT = 5.0
_READ_TIMEOUT = 300.0
_LIST_TIMEOUT = 5.0

# Options that the API takes beside the model's own.
_BESIDE = ("format", "keep_alive")
_EFFORTS = ("low", "medium", "high")

# What the client raises when a connection breaks, or when what came over it made no sense.
_BROKEN = (httpx.HTTPError, OSError, ValueError, TypeError, LookupError, AttributeError, RuntimeError)


class OllamaProvider:
    """Asks the models of one Ollama server. `host` as in OLLAMA_HOST; empty means this machine. Timeouts in seconds."""

    name = "ollama"
    shared = False

    def __init__(
        self, host: str = "", *, aliases: Mapping[str, str] = DEFAULT_ALIASES, read_timeout: float = _READ_TIMEOUT
    ) -> None:
        self._aliases = aliases
        self._client = ollama.AsyncClient(host or None, timeout=httpx.Timeout(read_timeout, connect=_CONNECT_TIMEOUT))

    def tools(self, model: str) -> tuple[str, ...]:
        """None: whatever it calls, the worker carries out."""
        return ()

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Token | Ended, None]:
        """Ask, and hand out text and thinking as they come. Raises ProviderError."""
        model = resolve(prompt.model, self._aliases).removeprefix(PREFIX)
        last: ollama.ChatResponse | None = None
        try:
            async with aclosing(await self._chat(prompt, model)) as parts:
                async for part in parts:
                    if part.message.thinking:
                        yield Thinking(part.message.thinking)
                    if part.message.content:
                        yield Text(part.message.content)
                    last = part
        except ollama.ResponseError as error:
            raise _from_response(error, prompt, model) from None
        except _BROKEN as error:
            raise _from_connection(error) from None
        yield _ended(last, model)

    async def models(self) -> list[LocalModel]:
        """What is installed, and which of it is in memory. Raises ProviderError when the server does not answer."""
        try:
            async with asyncio.timeout(_LIST_TIMEOUT):
                installed = await self._client.list()
                loaded = await self._client.ps()
        except (ollama.ResponseError, *_BROKEN) as error:
            raise _from_connection(error) from None
        resident = {model.model for model in loaded.models}
        return [
            LocalModel(_name(model.model), model.model in resident, int(model.size or 0))
            for model in installed.models
            if model.model
        ]

    async def close(self) -> None:
        """Close idle connections."""
        await self._client.close()  # type: ignore[no-untyped-call]  # the one method it leaves without types

    async def _chat(self, prompt: Prompt, model: str) -> AsyncGenerator[ollama.ChatResponse, None]:
        options = {name: _plain(value) for name, value in prompt.options.items()}
        thinking = options.pop("thinking", None)
        beside = {name: options.pop(name) for name in _BESIDE if name in options}
        if prompt.max_tokens:
            options["num_predict"] = prompt.max_tokens
        parts = await self._client.chat(
            model, _messages(prompt), stream=True, think=_think(thinking, prompt.effort), options=options, **beside
        )
        # Declared as a mere iterator, yet it holds the connection and must be closed.
        return cast("AsyncGenerator[ollama.ChatResponse, None]", parts)


def _messages(prompt: Prompt) -> list[dict[str, str]]:
    system = [{"role": "system", "content": prompt.system_prompt}] if prompt.system_prompt else []
    return [*system, {"role": "user", "content": prompt.prompt}]


def _plain(value: object) -> Any:
    """Whole numbers as such: they travelled as floats."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _think(thinking: object, effort: str) -> Any:
    """Only on request, since a model that cannot think refuses to be told how hard."""
    return effort if thinking is True and effort in _EFFORTS else thinking


def _name(model: str) -> str:
    return PREFIX + model.removesuffix(":latest")


def _ended(last: ollama.ChatResponse | None, model: str) -> Ended:
    if last is None or not last.done:
        raise _from_connection(None)
    usage = Usage(input_tokens=last.prompt_eval_count or 0, output_tokens=last.eval_count or 0)
    return Ended(last.model or model, last.done_reason or "stop", usage)


def _from_response(error: ollama.ResponseError, prompt: Prompt, model: str) -> ProviderError:
    status = error.status_code
    _log.warning("ollama answered with an error", status=status, model=model)
    secrets = [os.environ.get("OLLAMA_API_KEY", "")]
    detail = public_detail(error.error, secrets=secrets, body=[prompt.prompt, prompt.system_prompt])
    because = f": {detail}." if detail else "."
    if status == 404:
        return ProviderError(
            FailureReason.MODEL_NOT_FOUND,
            f"The worker's Ollama has no model {model!r}: run `ollama pull {model}` on the worker.",
        )
    if status in {401, 403}:
        return ProviderError(
            FailureReason.CREDENTIALS, "Ollama does not accept the worker's credentials; check OLLAMA_API_KEY there."
        )
    if status == 429:
        return ProviderError(FailureReason.RATE_LIMITED, f"Ollama asks for patience{because}")
    if 400 <= status < 500:
        return ProviderError(FailureReason.INVALID_REQUEST, f"Ollama refused the request as invalid{because}")
    return ProviderError(FailureReason.PROVIDER_UNAVAILABLE, f"The worker's Ollama failed{because}")


def _from_connection(error: Exception | None) -> ProviderError:
    _log.warning("the connection to ollama broke", error_type=type(error).__name__ if error else "early end")
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | ConnectionError):
        return ProviderError(
            FailureReason.PROVIDER_CONNECTION, "The worker's Ollama does not answer: run `ollama serve` on the worker."
        )
    return ProviderError(
        FailureReason.PROVIDER_CONNECTION,
        "The connection between the worker and its Ollama broke before the answer was complete; it can be tried again.",
    )
