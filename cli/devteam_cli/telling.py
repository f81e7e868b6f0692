"""What happens in a mesh as it happens, out of the watches of a client."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

from devteam.mesh.errors import DeadlineExceeded, NotFound, Unavailable
from devteam_cli.happenings import Happening
from devteam_cli.merged import merged
from devteam_cli.story import Story

if TYPE_CHECKING:
    from devteam.client import DevTeamClient

# Of tasks or of workers, what happened, and whether the beginning has been told.
_Look: TypeAlias = tuple[str, list[Happening], bool]
_Now: TypeAlias = Callable[[], datetime]


async def told(
    client: "DevTeamClient", story: Story, now: _Now, *, follow: bool
) -> AsyncGenerator[list[Happening], None]:
    """First all that happened since the story begins, in order; with `follow` then whatever happens, and no end.

    Raises what the watches of the client raise.
    """
    # Nothing is told until both beginnings are known: only then is the order.
    began: list[Happening] = []
    missing = {"tasks", "workers"}
    async with aclosing(merged(_tasks(client, story, now), _workers(client, story, now))) as looks:
        async for what, happened, current in looks:
            if not missing:
                yield happened
                continue
            began += happened
            missing -= {what} if current else set()
            if not missing:
                yield sorted(began, key=lambda happening: happening.at)
                if not follow:
                    return


async def _tasks(client: "DevTeamClient", story: Story, now: _Now) -> AsyncGenerator[_Look, None]:
    began = False
    async with aclosing(client.watch_tasks(since=story.since)) as looks:
        async for seen in looks:
            happened = story.tasks(seen, now())
            try:
                for plan_id in sorted(story.unsure):
                    happened += await _looked_up(client, story, plan_id, now)
            except (Unavailable, DeadlineExceeded):  # looked up after the next look, unless there is no next one
                if not began:
                    raise
            began = began or seen.current
            yield "tasks", happened, seen.current


async def _looked_up(client: "DevTeamClient", story: Story, plan_id: str, now: _Now) -> list[Happening]:
    try:
        return story.looked_up(await client.get_plan(plan_id))
    except NotFound:  # erased since its tasks were told
        return story.erased(plan_id, now())


async def _workers(client: "DevTeamClient", story: Story, now: _Now) -> AsyncGenerator[_Look, None]:
    async with aclosing(client.watch_workers()) as looks:
        async for seen in looks:
            yield "workers", story.workers(seen, now()), seen.current
