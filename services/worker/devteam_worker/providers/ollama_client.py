"""Ollama's own client, with what its chat leaves out."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any, cast

import httpx
import ollama

from devteam_worker.providers.patience import seconds_asked_for

# Seconds to connect.
_CONNECT_TIMEOUT = 5.0


class TooManyRequests(ollama.ResponseError):
    """The server wants to be left alone, for `retry_after` seconds if it said so."""

    def __init__(self, error: str, retry_after: float | None) -> None:
        super().__init__(error, 429)
        self.retry_after = retry_after


class OllamaClient(ollama.AsyncClient):
    """The client's `chat` knows neither `truncate` nor `shift`, and of a tool's parameters it drops what is nested.

    `host` as in OLLAMA_HOST; `read_timeout` in seconds, between two pieces of an answer.
    """

    def __init__(self, host: str, read_timeout: float) -> None:
        super().__init__(
            host or None,
            timeout=httpx.Timeout(read_timeout, connect=_CONNECT_TIMEOUT),
            event_hooks={"response": [_pass_on_patience]},
        )

    async def ask(self, body: Mapping[str, Any]) -> AsyncGenerator[ollama.ChatResponse, None]:
        """The parts of an answer; closing them closes the connection. Raises what the client raises."""
        parts = await self._request(ollama.ChatResponse, "POST", "/api/chat", json=body, stream=True)
        # Declared as a mere iterator, yet it holds the connection and must be closed.
        return cast("AsyncGenerator[ollama.ChatResponse, None]", parts)

    async def fetch(self, model: str) -> AsyncGenerator[ollama.ProgressResponse, None]:
        """Pull a model; closing the parts stops it. Raises what the client raises."""
        parts = await self.pull(model, stream=True)
        return cast("AsyncGenerator[ollama.ProgressResponse, None]", parts)


async def _pass_on_patience(response: httpx.Response) -> None:
    """The client's own error forgets the headers."""
    if response.status_code == 429:
        await response.aread()
        raise TooManyRequests(response.text, seconds_asked_for(response.headers))
