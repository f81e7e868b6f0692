"""Claude models through Anthropic's SDK.

Importing this module imports the SDK, which takes seconds: it is left to the moment when a key is known to be there.
"""

from collections.abc import AsyncGenerator, Mapping
from typing import Any

import anthropic
from anthropic import APIRequest, AsyncAPIResponse, AsyncCallNext
from anthropic.types import Message

from devteam_worker.models import DEFAULT_ALIASES, resolve
from devteam_worker.providers.anthropic_errors import BROKEN, from_connection, from_status, rate_limited, refused
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

# Seconds: to connect, and between two pieces of an answer (the API pings well within).
_CONNECT_TIMEOUT = 5.0
_READ_TIMEOUT = 300.0

_DEFAULT_MAX_TOKENS = 16_384
# Characters of a system prompt from which caching it pays: the API caches nothing under some 1,000 tokens.
_CACHED_FROM = 4_000
# Handed on as they are; the rest of a task's options is meant for other providers.
_PASSED_ON = ("stop_sequences", "service_tier")
# Current models answer these with a 400.
_REFUSED = ("temperature", "top_p", "top_k")


class AnthropicProvider:
    """Asks Claude models, always streaming, with the SDK's own spans switched off: the run has one already.

    `base_url` empty leaves the SDK's default. Timeouts are in seconds.
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
        self._client = anthropic.AsyncAnthropic(
            api_key=api_key,
            base_url=base_url or None,
            timeout=anthropic.Timeout(read_timeout, connect=_CONNECT_TIMEOUT),
            max_retries=1,
            middleware=[_pass_on_rate_limits],
            open_telemetry=False,
        )

    def tools(self, model: str) -> tuple[str, ...]:
        """None: whatever it calls, the worker carries out."""
        return ()

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Token | Ended, None]:
        """Ask, and hand out text and thinking as they come. Raises ProviderError."""
        request = _request(prompt, resolve(prompt.model, self._aliases))
        final: Message | None = None
        try:
            async with self._client.messages.stream(**request) as events:
                async for event in events:
                    if event.type == "text" and event.text:
                        yield Text(event.text)
                    elif event.type == "thinking" and event.thinking:
                        yield Thinking(event.thinking)
                    elif event.type == "message_stop":
                        final = event.message
        except anthropic.APIStatusError as error:
            raise from_status(error, prompt, self._api_key) from None
        except BROKEN as error:
            raise from_connection(error) from None
        yield _ended(final)

    async def models(self) -> list[LocalModel]:
        """Nothing lies on this machine."""
        return []

    async def close(self) -> None:
        """Close idle connections."""
        await self._client.close()


async def _pass_on_rate_limits(request: APIRequest, call_next: AsyncCallNext) -> AsyncAPIResponse[Any]:
    """Keeps the SDK from sleeping through a 429 while it holds a slot: waiting is the Planner's."""
    response = await call_next(request)
    if response.status_code == 429:
        await response.close()
        raise rate_limited(response.headers)
    return response


def _request(prompt: Prompt, model: str) -> dict[str, Any]:
    if refused_options := [name for name in _REFUSED if name in prompt.options]:
        raise ProviderError(
            FailureReason.INVALID_REQUEST,
            f"Claude models take no {' and no '.join(refused_options)}; leave it out, or set effort instead.",
        )
    request: dict[str, Any] = {
        "model": model,
        "max_tokens": prompt.max_tokens or _DEFAULT_MAX_TOKENS,
        "messages": [{"role": "user", "content": prompt.prompt}],
        **{name: prompt.options[name] for name in _PASSED_ON if name in prompt.options},
    }
    if prompt.system_prompt:
        request["system"] = [_system(prompt.system_prompt)]
    if prompt.effort:
        request["output_config"] = {"effort": prompt.effort}
    if prompt.options.get("thinking") is True:
        # Without a display asked for, current models think in silence.
        request["thinking"] = {"type": "adaptive", "display": "summarized"}
    return request


def _system(text: str) -> dict[str, Any]:
    """The system prompt is what tasks of one agent share, so it alone is worth caching."""
    block: dict[str, Any] = {"type": "text", "text": text}
    if len(text) >= _CACHED_FROM:
        block["cache_control"] = {"type": "ephemeral"}
    return block


def _ended(final: Message | None) -> Ended:
    if final is None:
        raise from_connection()
    if final.stop_reason == "refusal":
        raise refused(final)
    return Ended(final.model, final.stop_reason or "", _usage(final))


def _usage(final: Message) -> Usage:
    read = final.usage.cache_read_input_tokens or 0
    written = final.usage.cache_creation_input_tokens or 0
    return Usage(final.usage.input_tokens + read + written, final.usage.output_tokens, read, written)
