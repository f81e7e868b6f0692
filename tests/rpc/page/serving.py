"""A page over a fake mesh, and a client that reads what its server sends."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from devteam_cli.page.app import PagePlan, page

from devteam.mesh.server import Listen
from devteam.testing import FakeMesh

_PATIENCE = 20.0


@asynccontextmanager
async def page_of(mesh: FakeMesh, **settings: Any) -> AsyncIterator[str]:
    """The address of a page that shows `mesh`; `settings` as for PagePlan."""
    async with mesh.client(timeout=2.0) as client, page(PagePlan(Listen(port=0), **settings), client) as url:
        yield url


@asynccontextmanager
async def browsing(url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the page's server."""
    async with httpx.AsyncClient(base_url=url, timeout=_PATIENCE, trust_env=False) as http:
        yield http


class Events:
    """Server-sent events of one answer, as they come."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()

    async def next(self) -> tuple[str, Any]:
        """The name and the data of the next event. Raises StopAsyncIteration at the end."""
        name = ""
        async with asyncio.timeout(_PATIENCE):
            while True:
                line = await anext(self._lines)
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    return name, json.loads(line.removeprefix("data: "))

    async def all(self) -> list[tuple[str, Any]]:
        """Every event until the end."""
        found = []
        try:
            while True:
                found.append(await self.next())
        except StopAsyncIteration:
            return found

    async def news_with(self, kind: str, thing_id: str) -> Any:
        """What is shown of one thing, once it is."""
        while True:
            _, news = await self.next()
            if thing_id in news["put"].get(kind, {}):
                return news["put"][kind][thing_id]


@asynccontextmanager
async def events_at(http: httpx.AsyncClient, path: str) -> AsyncIterator[Events]:
    """The events of one stream."""
    async with http.stream("GET", path) as response:
        yield Events(response)
