"""Local models through Ollama's own client."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

import ollama

from devteam.mesh.clock import Clock, SystemClock
from devteam_worker.models import DEFAULT_ALIASES, resolve
from devteam_worker.providers.base import Ended, FailureReason, LocalModel, Prompt, ProviderError, Token, Usage
from devteam_worker.providers.ollama_client import OllamaClient
from devteam_worker.providers.ollama_errors import BROKEN, from_connection, from_response, is_too_long, too_large
from devteam_worker.providers.ollama_messages import Reply, body_of
from devteam_worker.providers.ollama_pull import Pulls
from devteam_worker.providers.ollama_window import Windows

PREFIX = "ollama:"

# Seconds: between two pieces of an answer (loading a model comes before the first), and for a list of models.
_READ_TIMEOUT = 300.0
_LIST_TIMEOUT = 5.0


class OllamaProvider:
    """Asks the models of one Ollama server. `host` as in OLLAMA_HOST; empty means this machine. Timeouts in seconds.

    `auto_pull` fetches a model that is not there. `keep_alive` says how long a model stays in memory where the task
    does not; `num_ctx` bounds the tokens that a model is given to read at once.
    """

    name = "ollama"
    shared = False

    def __init__(
        self,
        host: str = "",
        *,
        aliases: Mapping[str, str] = DEFAULT_ALIASES,
        auto_pull: bool = False,
        keep_alive: str | int | None = None,
        num_ctx: int | None = None,
        read_timeout: float = _READ_TIMEOUT,
        clock: Clock | None = None,
    ) -> None:
        self._aliases = aliases
        self._auto_pull = auto_pull
        self._keep_alive = keep_alive
        self._client = OllamaClient(host, read_timeout)
        self._windows = Windows(self._client, num_ctx)
        self._pulls = Pulls(self._client, clock or SystemClock())

    def tools(self, model: str) -> tuple[str, ...]:
        """None: whatever it calls, the worker carries out."""
        return ()

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Token | Ended, None]:
        """Ask, and hand out text, thinking and calls as they come. Raises ProviderError."""
        model = resolve(prompt.model, self._aliases).removeprefix(PREFIX)
        try:
            async with aclosing(self._ask(prompt, model)) as items:
                async for item in items:
                    yield item
        except ProviderError as error:
            # Nothing has been said yet: that a model is missing comes in place of an answer.
            if error.reason is not FailureReason.MODEL_NOT_FOUND or not self._auto_pull:
                raise
        else:
            return
        async with aclosing(self._pulls.follow(model)) as news:
            async for progress in news:
                yield progress
        async with aclosing(self._ask(prompt, model)) as items:
            async for item in items:
                yield item

    async def models(self) -> list[LocalModel]:
        """What is installed, and which of it is in memory. Raises ProviderError when the server does not answer."""
        try:
            async with asyncio.timeout(_LIST_TIMEOUT):
                installed = await self._client.list()
                loaded = await self._client.ps()
        except (ollama.ResponseError, *BROKEN) as error:
            raise from_connection(error) from None
        resident = {model.model for model in loaded.models}
        return [
            LocalModel(_name(model.model), model.model in resident, int(model.size or 0))
            for model in installed.models
            if model.model
        ]

    async def close(self) -> None:
        """Stop pulls, and close idle connections."""
        await self._pulls.close()
        await self._client.close()  # type: ignore[no-untyped-call]  # the one method it leaves without types

    async def _ask(self, prompt: Prompt, model: str) -> AsyncGenerator[Token | Ended, None]:
        body = body_of(prompt, model, self._keep_alive)
        reply = Reply(len(prompt.turns))
        last: ollama.ChatResponse | None = None
        try:
            if "num_ctx" not in prompt.options:
                body["options"]["num_ctx"] = await self._windows.size(model, body)
            async with aclosing(await self._client.ask(body)) as parts:
                async for part in parts:
                    for token in reply.tokens(part.message):
                        yield token
                    last = part
        except ollama.ResponseError as error:
            if is_too_long(error):
                raise self._too_large(prompt, model, body["options"]["num_ctx"]) from None
            raise from_response(error, prompt, model) from None
        except BROKEN as error:
            raise from_connection(error) from None
        yield _ended(last, model, reply.message)

    def _too_large(self, prompt: Prompt, model: str, tokens: int) -> ProviderError:
        own = "num_ctx" in prompt.options
        return too_large(model, tokens, "give the step a larger num_ctx" if own else self._windows.remedy(tokens))


def _name(model: str) -> str:
    return PREFIX + model.removesuffix(":latest")


def _ended(last: ollama.ChatResponse | None, model: str, reply: dict[str, Any] | None) -> Ended:
    if last is None or not last.done:
        raise from_connection()
    usage = Usage(input_tokens=last.prompt_eval_count or 0, output_tokens=last.eval_count or 0)
    return Ended(last.model or model, last.done_reason or "stop", usage, reply)
