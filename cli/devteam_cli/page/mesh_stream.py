"""The whole mesh as it changes, for one viewer."""

from collections.abc import AsyncGenerator

from devteam.mesh.clock import Clock
from devteam_cli.output import plain
from devteam_cli.page.feed import Feed
from devteam_cli.page.sse import message

# Changes that follow each other closely come as one: a screen shows no more.
_GATHER_SECONDS = 0.2


async def mesh_messages(feed: Feed, clock: Clock) -> AsyncGenerator[bytes, None]:
    """All there is, then what changes, each with the time here; for as long as somebody listens."""
    with feed.viewer() as board:
        version = 0
        while True:
            news = board.since(version)
            version = news.version
            shown = {"now": plain(clock.now()), "fresh": news.fresh, "put": news.put, "dropped": news.dropped}
            yield message("news", shown)
            await clock.sleep(_GATHER_SECONDS)
            await board.changed(version)
