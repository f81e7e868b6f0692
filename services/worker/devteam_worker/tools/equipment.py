"""The tools that a worker's settings give it."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import structlog

from devteam.mesh.clock import Clock
from devteam_worker.settings import WorkerSettings
from devteam_worker.tools.base import Tool, ToolError, ToolSource
from devteam_worker.tools.documents import DocumentSource
from devteam_worker.tools.mcp import McpServer
from devteam_worker.tools.toolbox import Limits, Toolbox

_log = structlog.get_logger()

# Seconds for a source to say which tools it has: a server that has to be fetched first takes its time.
_PATIENCE = 35.0


@asynccontextmanager
async def equipped(settings: WorkerSettings, own: Sequence[Tool], clock: Clock, data: Path) -> AsyncIterator[Toolbox]:
    """A toolbox with `own` tools and those of every source that could be made ready.

    A source that could not costs its tools, never the worker. What sources can keep from one start to the next lies in
    the folder `data`.
    """
    async with AsyncExitStack() as stack:
        sources = _sources(settings, clock, data / "documents")
        stack.push_async_callback(_close, sources)
        found = await asyncio.gather(*map(_opened, sources))
        tools = [*own, *(tool for tools in found for tool in tools)]
        limits = Limits(settings.tools.timeout_ms / 1000, settings.tools.answer_bytes)
        yield Toolbox(tools, allowed=settings.tools.allow, limits=limits)


def _sources(settings: WorkerSettings, clock: Clock, cache: Path) -> list[ToolSource]:
    """MCP servers and folders of documents."""
    folders = [(source.name, source.path) for source in settings.data_sources if source.path is not None]
    return [
        *(McpServer(name, server, clock) for name, server in settings.mcp_servers.items()),
        *(DocumentSource(name, path, cache, clock) for name, path in folders),
    ]


async def _opened(source: ToolSource) -> Iterable[Tool]:
    try:
        async with asyncio.timeout(_PATIENCE):
            return await source.open()
    except ToolError as error:
        _log.warning("tools left out", source=source.name, why=str(error))
    except TimeoutError:
        _log.warning("tools left out", source=source.name, why=f"no answer within {_PATIENCE:g} s")
    except Exception as error:  # noqa: BLE001 - whatever a source meets on this machine costs its tools, and no more
        _log.warning("tools left out", source=source.name, why=f"cannot be opened ({type(error).__name__})")
    return ()


async def _close(sources: Iterable[ToolSource]) -> None:
    """All at once: each may take seconds."""
    async with asyncio.TaskGroup() as group:
        for source in sources:
            group.create_task(source.close())
