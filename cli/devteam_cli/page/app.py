"""The page of one mesh, put together."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from devteam.client import DevTeamClient
from devteam.mesh.address import reachable
from devteam.mesh.clock import SystemClock
from devteam.mesh.server import Listen
from devteam.mesh.tasks import background
from devteam_cli.page.board import Board
from devteam_cli.page.feed import Feed
from devteam_cli.page.guard import Guard
from devteam_cli.page.routes import Routes
from devteam_cli.page.server import listening, served


@dataclass(frozen=True, slots=True)
class PagePlan:
    """Where to serve the page, under which names beside localhost, and what to put beside it.

    `temporal_ui` is the address of Temporal's web page, where there is one.
    """

    listen: Listen
    names: Iterable[str] = ()
    temporal_ui: str = ""


@asynccontextmanager
async def page(plan: PagePlan, client: DevTeamClient) -> AsyncIterator[str]:
    """Serve the page of the client's mesh for as long as the block runs, which begins with the page's address.

    It needs no mesh to start: the page says when there is none. Raises FailedPrecondition as `listening` does.
    """
    clock = SystemClock()
    feed = Feed(client, Board(), clock)
    routes = Routes(client, feed, clock, _links(plan))
    socket = listening(plan.listen)
    port = socket.getsockname()[1]
    async with (
        background(feed.run),
        served(Guard(routes.app(), {*plan.names, plan.listen.host}), socket, routes.ending),
    ):
        yield f"http://{_in_url(reachable(plan.listen.host))}:{port}"


def _links(plan: PagePlan) -> Mapping[str, str]:
    return {"temporal": plan.temporal_ui} if plan.temporal_ui else {}


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
