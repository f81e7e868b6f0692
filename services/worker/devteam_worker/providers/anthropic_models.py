"""Which Claude model a short name stands for today."""

import asyncio
from collections.abc import Iterable

import anthropic
import structlog
from anthropic.types import ModelInfo

from devteam_worker.providers.anthropic_errors import BROKEN

_log = structlog.get_logger()

_PATIENCE = 5.0


async def current_models(client: anthropic.AsyncAnthropic) -> dict[str, str]:
    """The newest active model of each line ("opus"); nothing when the API cannot say, which costs nobody anything."""
    try:
        async with asyncio.timeout(_PATIENCE):
            return _newest([model async for model in client.models.list(limit=1000)])
    except (*BROKEN, TimeoutError) as error:
        _log.warning("Anthropic's models could not be listed; built-in names hold", error_type=type(error).__name__)
        return {}


def _newest(models: Iterable[ModelInfo]) -> dict[str, str]:
    active = sorted((model for model in models if model.lifecycle == "active"), key=lambda model: model.created_at)
    return {model.line: model.id for model in active if model.line}
