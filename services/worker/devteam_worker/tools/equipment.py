"""The tools that a worker's settings give it."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import structlog

from devteam_worker.settings import WorkerSettings
from devteam_worker.tools.base import Tool, ToolError, ToolSource
from devteam_worker.tools.toolbox import Limits, Toolbox

_log = structlog.get_logger()

# Seconds for a source to say which tools it has: a server that has to be fetched first takes its time.
_PATIENCE = 30.0


@asynccontextmanager
async def equipped(settings: WorkerSettings, own: Sequence[Tool] = ()) -> AsyncIterator[Toolbox]:
    """A toolbox with `own` tools and those of every source that could be made ready.

    A source that could not costs its tools, never the worker.
    """
    async with AsyncExitStack() as stack:
        sources = _sources(settings)
        for source in sources:
            stack.push_async_callback(source.close)
        found = await asyncio.gather(*map(_opened, sources))
        tools = [*own, *(tool for tools in found for tool in tools)]
        limits = Limits(settings.tools.timeout_ms / 1000, settings.tools.answer_bytes)
        yield Toolbox(tools, allowed=settings.tools.allow, limits=limits)


def _sources(settings: WorkerSettings) -> list[ToolSource]:
    """MCP servers and folders of documents."""
    del settings
    return []


async def _opened(source: ToolSource) -> Iterable[Tool]:
    try:
        async with asyncio.timeout(_PATIENCE):
            return await source.open()
    except ToolError as error:
        _log.warning("tools left out", source=source.name, why=str(error))
    except TimeoutError:
        _log.warning("tools left out", source=source.name, why=f"no answer within {_PATIENCE:g} s")
    return ()
