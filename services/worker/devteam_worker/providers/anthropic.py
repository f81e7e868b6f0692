"""Claude models through Anthropic's SDK.

Importing this module imports the SDK, which takes seconds: it is left to the moment when a key is known to be there.
"""

from collections.abc import AsyncGenerator, Mapping
from typing import Any

import anthropic
from anthropic import APIRequest, AsyncAPIResponse, AsyncCallNext
from anthropic.types import Message

from devteam_worker.models import DEFAULT_ALIASES, resolve
from devteam_worker.providers.anthropic_errors import BROKEN, from_connection, from_status, rate_limited
from devteam_worker.providers.anthropic_models import current_models
from devteam_worker.providers.anthropic_reply import calls_of, ended, provided
from devteam_worker.providers.anthropic_request import PROVIDED, request_for
from devteam_worker.providers.base import (
    ALIVE,
    Ended,
    LocalModel,
    Prompt,
    Text,
    Thinking,
    Token,
)

# Seconds: to connect, and between two pieces of an answer (the API pings well within).
_CONNECT_TIMEOUT = 5.0
_READ_TIMEOUT = 300.0

# Events without a token: a call is written, or a thought that is not shown.
_AT_WORK = frozenset({"input_json", "thinking", "signature"})


class AnthropicProvider:
    """Asks Claude models, always streaming, with the SDK's own spans switched off: the run has one already.

    `base_url` empty leaves the SDK's default; servers at other places lack the tools that Anthropic's calls by itself.
    Timeouts are in seconds.
    """

    name = "anthropic"
    shared = True

    def __init__(
        self,
        api_key: str,
        *,
        base_url: str = "",
        aliases: Mapping[str, str] = DEFAULT_ALIASES,
        read_timeout: float = _READ_TIMEOUT,
    ) -> None:
        self._api_key = api_key
        self._aliases = aliases
        self._provided = () if base_url else tuple(PROVIDED)
        self._client = anthropic.AsyncAnthropic(
            api_key=api_key,
            base_url=base_url or None,
            timeout=anthropic.Timeout(read_timeout, connect=_CONNECT_TIMEOUT),
            max_retries=1,
            middleware=[_pass_on_rate_limits],
            open_telemetry=False,
        )

    async def learn_aliases(self) -> Mapping[str, str]:
        """Ask which model each line's name stands for today, and take it so where the owner says nothing else."""
        current = await current_models(self._client)
        built_in = {line: model for line, model in current.items() if self._follows(line)}
        self._aliases = {**self._aliases, **built_in}
        return self._aliases

    def tools(self, model: str) -> tuple[str, ...]:
        """Search and retrieval on the web."""
        return self._provided

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Token | Ended, None]:
        """Ask, and hand out text, thinking and calls as they come. Raises ProviderError."""
        request = request_for(prompt, resolve(prompt.model, self._aliases))
        final: Message | None = None
        try:
            async with self._client.messages.stream(**request) as events:
                async for event in events:
                    if event.type == "text" and event.text:
                        yield Text(event.text)
                    elif event.type == "thinking" and event.thinking:
                        yield Thinking(event.thinking)
                    elif event.type == "content_block_stop" and (token := provided(event.content_block)):
                        yield token
                    elif event.type == "message_stop":
                        final = event.message
                    elif event.type in _AT_WORK:
                        yield ALIVE
        except anthropic.APIStatusError as error:
            raise from_status(error, prompt, self._api_key) from None
        except BROKEN as error:
            raise from_connection(error) from None
        end = ended(final)
        for call in calls_of(final) if final else ():
            yield call
        yield end

    async def models(self) -> list[LocalModel]:
        """Nothing lies on this machine."""
        return []

    async def close(self) -> None:
        """Close idle connections."""
        await self._client.close()

    def _follows(self, line: str) -> bool:
        return self._aliases.get(line) == DEFAULT_ALIASES.get(line)


async def _pass_on_rate_limits(request: APIRequest, call_next: AsyncCallNext) -> AsyncAPIResponse[Any]:
    """Keeps the SDK from sleeping through a 429 while it holds a slot: waiting is the Planner's."""
    response = await call_next(request)
    if response.status_code == 429:
        await response.close()
        raise rate_limited(response.headers)
    return response
