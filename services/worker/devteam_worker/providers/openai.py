"""Models of any server that speaks OpenAI's chat API: vLLM, LM Studio, llama.cpp, and OpenAI itself.

Importing this module imports the SDK, which takes seconds: it is left to the moment when it is known to be wanted.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, cast

import openai
from openai.types.chat import ChatCompletionChunk
from openai.types.completion_usage import CompletionUsage

from devteam.mesh.address import is_loopback
from devteam_worker.models import DEFAULT_ALIASES, resolve
from devteam_worker.providers.base import ALIVE, Ended, LocalModel, Prompt, Token, Usage
from devteam_worker.providers.openai_errors import BROKEN, from_connection, from_status, from_stream, refused
from devteam_worker.providers.openai_messages import Reply, request_of

PREFIX = "openai:"

# Seconds: to connect, between two pieces of an answer, for a list of models.
_CONNECT_TIMEOUT = 5.0
_READ_TIMEOUT = 300.0
_LIST_TIMEOUT = 5.0

_OPENAI_HOST = "api.openai.com"
# The SDK insists on a key; servers that want none do not look at it.
_NO_KEY = "none"


class OpenAIProvider:
    """Asks models by OpenAI's chat API, always streaming. An empty `base_url` means OpenAI itself. Timeouts in seconds.

    Nothing is tried again here: the SDK would sleep through a Retry-After while it holds a slot.
    """

    name = "openai"

    def __init__(
        self,
        api_key: str = "",
        *,
        base_url: str = "",
        aliases: Mapping[str, str] = DEFAULT_ALIASES,
        read_timeout: float = _READ_TIMEOUT,
    ) -> None:
        self._api_key = api_key
        self._aliases = aliases
        self._client = openai.AsyncOpenAI(
            api_key=api_key or _NO_KEY,
            base_url=base_url or None,
            timeout=openai.Timeout(read_timeout, connect=_CONNECT_TIMEOUT),
            max_retries=0,
        )
        host = self._client.base_url.host
        self._openai_itself = host == _OPENAI_HOST
        self.shared = not is_loopback(host)

    def tools(self, model: str) -> tuple[str, ...]:
        """None: whatever it calls, the worker carries out."""
        return ()

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Token | Ended, None]:
        """Ask, and hand out text, thinking and calls as they come. Raises ProviderError."""
        model = resolve(prompt.model, self._aliases).removeprefix(PREFIX)
        answer = _Answer(model, len(prompt.turns))
        try:
            chunks = await self._client.chat.completions.create(
                **request_of(prompt, model, openai_itself=self._openai_itself)
            )
            async with aclosing(cast("openai.AsyncStream[ChatCompletionChunk]", chunks)):
                async for chunk in chunks:
                    for token in answer.tokens(chunk):
                        yield token
        except openai.APIStatusError as error:
            raise from_status(error, prompt, self._api_key) from None
        except openai.APIConnectionError as error:
            raise from_connection(error) from None
        except openai.APIError as error:
            raise from_stream(error, prompt, self._api_key) from None
        except BROKEN as error:
            raise from_connection(error) from None
        ended = answer.ended()
        for call in answer.reply.calls:
            yield call
        yield ended

    async def models(self) -> list[LocalModel]:
        """What a server on this machine has, all of it ready. Raises ProviderError when the server does not answer."""
        if self.shared:
            return []
        try:
            async with asyncio.timeout(_LIST_TIMEOUT):
                found = await self._client.models.list()
                return [LocalModel(PREFIX + model.id, resident=True) for model in found.data]
        except (TimeoutError, *BROKEN) as error:
            raise from_connection(error) from None

    async def close(self) -> None:
        """Close idle connections."""
        await self._client.close()


class _Answer:
    """One answer, chunk by chunk."""

    def __init__(self, model: str, turn: int) -> None:
        self.reply = Reply(turn)
        self._model = model
        self._stop_reason = ""
        self._usage: CompletionUsage | None = None

    def tokens(self, chunk: ChatCompletionChunk) -> list[Token]:
        """The tokens of the next chunk. The usage comes last, in one without choices, or with each of them."""
        self._model = chunk.model or self._model
        self._usage = chunk.usage or self._usage
        found: list[Token] = []
        for choice in chunk.choices:
            self._stop_reason = choice.finish_reason or self._stop_reason
            found += self.reply.tokens(choice.delta)
            if choice.delta.tool_calls:
                found.append(ALIVE)
        return found

    def ended(self) -> Ended:
        """How it ended. Raises ProviderError if it did not, or if the model declined."""
        if not self._stop_reason:
            raise from_connection()
        if self.reply.refused or self._stop_reason == "content_filter":
            raise refused(self._model)
        if self._stop_reason == "length":
            self.reply.drop_cut_call()
        return Ended(self._model, self._stop_reason, _usage(self._usage), self.reply.message)


def _usage(usage: CompletionUsage | None) -> Usage:
    if usage is None:
        return Usage()
    details: Any = usage.prompt_tokens_details
    return Usage(usage.prompt_tokens, usage.completion_tokens, (details and details.cached_tokens) or 0)
