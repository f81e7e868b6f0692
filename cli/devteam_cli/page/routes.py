"""The page's answers: its files, and what the mesh says, as JSON and as server-sent events."""

import asyncio
import re
from collections.abc import Awaitable, Mapping
from typing import TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from devteam.client import DevTeamClient
from devteam.errors import DevTeamError, InvalidInput, NotFound, Violation
from devteam.mesh.clock import Clock
from devteam_cli.page.answers import answer, failure, refusal
from devteam_cli.page.feed import Feed
from devteam_cli.page.files import page_file
from devteam_cli.page.mesh_stream import mesh_messages
from devteam_cli.page.sse import EventStream
from devteam_cli.page.task_stream import task_messages
from devteam_cli.trace_clocks import by_one_clock

# As many as fit on a screen, and some to scroll.
_RECENT = 50
_Answer = TypeVar("_Answer")
_ID = re.compile(r"[A-Za-z0-9._-]{1,256}")


class Routes:
    """Every answer, of one client. `links` are shown beside: name to address."""

    def __init__(self, client: DevTeamClient, feed: Feed, clock: Clock, links: Mapping[str, str]) -> None:
        self._client = client
        self._feed = feed
        self._clock = clock
        self._links = links
        # Set when the server stops: streams do not end by themselves.
        self.ending = asyncio.Event()

    def app(self) -> ASGIApp:
        """All of it."""
        routes = [
            Route("/", page_file),
            Route("/{name}", page_file),
            Route("/page/mesh", self.mesh),
            Route("/page/live", self.live),
            Route("/page/recent", self.recent),
            Route("/page/tasks/{id}", self.task),
            Route("/page/tasks/{id}/live", self.task_live),
            Route("/page/tasks/{id}/explain", self.explain),
            Route("/page/plans/{id}", self.plan),
            Route("/page/traces/{id}", self.trace),
        ]
        handlers = {DevTeamError: _refused, HTTPException: _unknown}
        return Starlette(routes=routes, exception_handlers=handlers)

    async def mesh(self, request: Request) -> Response:
        """What never changes: where the mesh is, and what else there is to look at."""
        return answer({"api_url": self._client.api_url, "links": self._links})

    async def live(self, request: Request) -> EventStream:
        """The whole mesh, as it changes."""
        return EventStream(mesh_messages(self._feed, self._clock), self.ending)

    async def recent(self, request: Request) -> Response:
        """The newest plans, and the newest tasks that are no steps."""
        plans, tasks = await asyncio.gather(
            self._client.list_plans(limit=_RECENT), self._client.list_tasks(limit=_RECENT)
        )
        return answer({"plans": plans, "tasks": tasks})

    async def task(self, request: Request) -> Response:
        """One task, with what was asked and answered."""
        return answer(await self._client.get_task(_id_in(request)))

    async def task_live(self, request: Request) -> EventStream:
        """One task, as it is answered, from its beginning."""
        events = self._client.watch_task(_id_in(request))
        # A task that cannot be watched is an error of this request, not of the stream.
        first = await anext(events)
        return EventStream(task_messages(first, events), self.ending, source=events)

    async def explain(self, request: Request) -> Response:
        """Why a task waits, or runs where it runs; null for one that does neither, or that no Router knows yet."""
        return answer(await _if_any(self._client.explain(_id_in(request))))

    async def plan(self, request: Request) -> Response:
        """One plan with its tasks."""
        return answer(await self._client.get_plan(_id_in(request)))

    async def trace(self, request: Request) -> Response:
        """The spans of a trace that have ended, by one clock, and whose is wrong; null when none is kept (yet)."""
        trace = await _if_any(self._client.get_trace(_id_in(request)))
        if trace is None:
            return answer(None)
        told = by_one_clock(trace.spans)
        return answer({"id": trace.id, "spans": told.spans, "clocks": told.notes, "truncated": trace.truncated})


async def _if_any(asked: Awaitable[_Answer]) -> _Answer | None:
    """What there is to be told. A page asks for it before there is any: no error, and nothing for a browser to log."""
    try:
        return await asked
    except NotFound:
        return None


def _id_in(request: Request) -> str:
    named = str(request.path_params["id"])
    if not _ID.fullmatch(named):
        raise InvalidInput(Violation("id", "ID_FORMAT", "must be 1 to 256 of A-Z, a-z, 0-9, dot, hyphen, underscore"))
    return named


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, DevTeamError)
    return failure(error)


async def _unknown(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return refusal(error.status_code, f"there is no {request.url.path}", "the page is at /")
