"""How many tokens a model is given to read at once, so that a prompt fits and nothing is cut."""

import asyncio
import json
import string
from collections.abc import Mapping
from typing import Any

import ollama
import structlog

from devteam_worker.providers.ollama_client import OllamaClient
from devteam_worker.providers.ollama_errors import BROKEN, too_large

_log = structlog.get_logger()

# What Ollama itself takes on a small machine. Less saves little, and each other size loads the model anew.
_SMALLEST = 4_096
# Kept free for an answer whose length nobody bounded.
_ANSWER = 4_096
# Seconds for a look at a model or at what is in memory.
_LOOK_TIMEOUT = 5.0

_WORDS = (string.ascii_lowercase + " ").encode()
_ASCII = bytes(range(128))


class Windows:
    """The windows of one server's models. `allowed` tokens are the most that the worker's owner lets them have.

    How many tokens the server says it has read tells nothing: it leaves out those that it remembers from before, and
    so may count few where all were read. So the window is made large enough beforehand, and the server is told to
    refuse what does not fit after all.
    """

    def __init__(self, client: OllamaClient, allowed: int | None) -> None:
        self._client = client
        self._allowed = allowed
        self._contexts: dict[str, int] = {}

    async def size(self, model: str, body: Mapping[str, Any]) -> int:
        """Tokens for what `body` asks. Raises ProviderError if that is too large, and ResponseError without a model."""
        said = json.dumps([body["messages"], body.get("tools")], ensure_ascii=False, separators=(",", ":"))
        context = await self._context(model)
        limit = min((size for size in (context, self._allowed) if size), default=0)
        if limit and at_least(said) > limit:
            raise too_large(model, limit, self.remedy(limit))
        answer = body["options"].get("num_predict", 0)
        wanted = at_most(said) + (answer if answer > 0 else _ANSWER)
        return fitting(wanted, limit=limit, loaded=await self._loaded(model))

    def remedy(self, limit: int) -> str:
        """What lets a model read more than `limit` tokens."""
        if limit == self._allowed:
            return "raise ollama.numCtx on the worker"
        return "name a model that reads more"

    async def _context(self, model: str) -> int:
        """What the model itself can read; 0 when the server does not say."""
        if model not in self._contexts:
            try:
                async with asyncio.timeout(_LOOK_TIMEOUT):
                    info = (await self._client.show(model)).modelinfo or {}
                self._contexts[model] = int(info.get(f"{info.get('general.architecture')}.context_length", 0))
            except ollama.ResponseError as error:
                if error.status_code == 404:
                    raise
                _log.warning("ollama tells nothing of a model", model=model, status=error.status_code)
            except BROKEN as error:
                _log.warning("ollama tells nothing of a model", model=model, error_type=type(error).__name__)
        return self._contexts.get(model, 0)

    async def _loaded(self, model: str) -> int:
        """The window that the model has in memory; 0 when it is not there."""
        names = {model, f"{model}:latest"}
        try:
            async with asyncio.timeout(_LOOK_TIMEOUT):
                loaded = await self._client.ps()
        except (ollama.ResponseError, *BROKEN):
            return 0  # the question itself will tell what is wrong
        return next((found.context_length or 0 for found in loaded.models if found.model in names), 0)


def fitting(wanted: int, *, limit: int, loaded: int) -> int:
    """The next power of two, within the limit (0: none).

    A larger window that the model has already is kept: another one would throw it out of memory and load it anew.
    """
    size = max(_SMALLEST, 1 << (wanted - 1).bit_length())
    return max(min(size, limit) if limit else size, loaded)


def at_most(text: str) -> int:
    """Tokens of a text, rather too many: three small letters make one, and each capital, digit and sign is one.

    Of what is not ASCII two bytes make one. Measured on prose, code, tables and JSON it is 1 to 3.5 times the truth;
    only for what is no language at all (hex) it may be too few, and then the server refuses.
    """
    data = text.encode(errors="replace")
    others = data.translate(None, _WORDS)
    wide = len(others.translate(None, _ASCII))
    return (len(data) - len(others)) // 3 + (len(others) - wide) + wide // 2 + 1


def at_least(text: str) -> int:
    """Tokens of a text, rather too few: no token holds two words."""
    return len(text.split())
