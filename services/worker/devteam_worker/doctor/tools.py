"""Checks of what tasks are given to work with: folders of documents, and MCP servers."""

import asyncio
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from devteam.mesh.finding import Finding, ok, problem, skipped
from devteam_worker.doctor.examination import Check, Surroundings
from devteam_worker.settings_sections import DataSourceSettings, McpServerSettings
from devteam_worker.tools.base import ToolError
from devteam_worker.tools.variables import filled


async def documents(here: Surroundings) -> Finding:
    """Whether each folder of documents is there, and can be read."""
    sources = [source for source in here.settings.data_sources if source.path is not None]
    if not sources:
        return skipped("no data source has a path")
    # In a thread: a folder of another machine may take its time.
    missing = await asyncio.to_thread(_missing, ((source.name, _folder(source)) for source in sources))
    if missing:
        return problem(missing, "mend dataSources, or give this user the folder; until then its tools are left out")
    return ok(f"{', '.join(source.name for source in sources)} can be read")


async def mcp_servers(here: Surroundings) -> Finding:
    """Whether each MCP server's program and variables are there. None is started, and none is asked."""
    servers = here.settings.mcp_servers
    if not servers:
        return skipped("no MCP server is named")
    missing = await asyncio.to_thread(
        _missing, ((name, _server(server, here.environ)) for name, server in servers.items())
    )
    if missing:
        return problem(missing, "install it, set its variables, or mend mcpServers; until then its tools are left out")
    return ok(f"{', '.join(servers)}: programs and variables are there")


CHECKS = (
    Check("documents", documents),
    Check("mcp servers", mcp_servers),
)


def _missing(named: Iterable[tuple[str, str]]) -> str:
    """Of names with what is wrong with each, a sentence; empty where nothing is."""
    return "; ".join(f"{name}: {wrong}" for name, wrong in named if wrong)


def _folder(source: DataSourceSettings) -> str:
    """What is wrong with the folder; empty if nothing is."""
    path = source.path
    assert path is not None
    if not os.path.isdir(path):  # noqa: PTH112 - pathlib raises where a folder above cannot be searched
        return f"{path} is no folder that this user can see"
    return "" if os.access(path, os.R_OK | os.X_OK) else f"{path} cannot be read"


def _server(server: McpServerSettings, environ: Mapping[str, str]) -> str:
    """What is wrong with the server; empty if nothing is."""
    try:
        told = filled(server, environ)
    except ToolError as error:
        return str(error)
    if not told.command:
        return ""
    if told.cwd and not os.path.isdir(told.cwd):  # noqa: PTH112 - as above
        return f"its cwd {told.cwd} is no folder"
    command = str(Path(told.cwd, told.command)) if os.sep in told.command else told.command
    found = shutil.which(command, path=told.env.get("PATH") or environ.get("PATH"))
    return "" if found else f"there is no program {told.command!r}"
