"""`devteam top`: the mesh at work, on one screen."""

import asyncio
import signal
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from devteam.mesh.errors import DeadlineExceeded, Unavailable
from devteam.mesh.tasks import cancelled
from devteam_cli import output
from devteam_cli.session import Session, connected, console

if TYPE_CHECKING:
    from rich.console import Console, Group

    from devteam.client import DevTeamClient
    from devteam.models import QueueInfo
    from devteam.sightings import TasksSeen, WorkersSeen
    from devteam_cli.top_view import TopView

# The last: all queues, or why they cannot be seen.
_Look: TypeAlias = "TasksSeen | WorkersSeen | list[QueueInfo] | str"

_FRAME = 0.5
_LOOK_AT_QUEUES = 1.0
# Seconds that a single picture waits for: two looks at the tokens of what runs.
_TWO_LOOKS = 2.5
_TERMINATED = 128 + signal.SIGTERM


@connected
async def top(
    session: Session,
    *,
    once: Annotated[bool, typer.Option("--once", help="One picture, as off a terminal.")] = False,
) -> None:
    """Show workers, queues, and what runs and waits, live; q ends it. Off a terminal: one picture, as text."""
    screen = console(sys.stdout)
    if session.is_text and screen.is_terminal and not screen.is_dumb_terminal and not once:
        await _show_live(session.client, screen)
        return
    from devteam_cli.top_frame import frame
    from devteam_cli.top_view import TopView

    view = TopView()
    await _filled(session.client, view)
    now = datetime.now(UTC)
    if session.is_text:
        session.show(*frame(view, session.client.api_url, now, width=screen.width))
    else:
        output.write_item(session.output, _data(view, now))


async def _show_live(client: "DevTeamClient", screen: "Console") -> None:
    from rich.live import Live

    from devteam_cli.keyboard import pressed
    from devteam_cli.top_view import TopView

    view, ended, terminated = TopView(), asyncio.Event(), asyncio.Event()
    gathering = asyncio.create_task(_gather(client, view, ended))
    try:
        with (
            _terminated(terminated, ended),
            pressed("q", ended),
            Live(console=screen, screen=True, auto_refresh=False) as live,
        ):
            while not ended.is_set():
                live.update(_picture(view, client.api_url, screen), refresh=True)
                await _pause(ended)
    finally:
        await cancelled(gathering)
    if terminated.is_set():
        raise typer.Exit(_TERMINATED)


@contextmanager
def _terminated(*events: asyncio.Event) -> Iterator[None]:
    """A SIGTERM sets the events, so that the terminal is left as it was."""

    def on_signal() -> None:
        for event in events:
            event.set()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, on_signal)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


async def _pause(ended: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(_FRAME):
            await ended.wait()
    except TimeoutError:
        return


def _picture(view: "TopView", title: str, screen: "Console") -> "Group":
    from rich.console import Group

    from devteam_cli.top_frame import frame

    now, size = datetime.now(UTC), screen.size
    return Group(*frame(view, f"{title} · {now.astimezone():%H:%M:%S}", now, width=size.width, height=size.height))


async def _gather(client: "DevTeamClient", view: "TopView", ended: asyncio.Event) -> None:
    """Keep the view up to date, until the mesh says something that ends it."""
    try:
        async with aclosing(_looks(client)) as looks:
            async for look in looks:
                _take(view, look)
    finally:
        ended.set()


async def _filled(client: "DevTeamClient", view: "TopView") -> None:
    """Take in all that there is, and for what runs how fast it goes."""
    missing = {"tasks", "workers", "queues"}
    async with aclosing(_looks(client)) as looks:
        async for look in looks:
            missing -= {_take(view, look)}
            if not missing:
                break
        if view.running:
            try:
                async with asyncio.timeout(_TWO_LOOKS):
                    async for look in looks:
                        _take(view, look)
            except TimeoutError:
                pass


def _take(view: "TopView", look: "_Look") -> str:
    """Take a look in; says what is known in full now, if anything."""
    from devteam.sightings import TasksSeen, WorkersSeen

    match look:
        case TasksSeen():
            view.see_tasks(look, datetime.now(UTC))
            return "tasks" if look.current else ""
        case WorkersSeen():
            view.see_workers(look)
            return "workers" if look.current else ""
        case str():
            view.see_queues(None, look)
        case _:
            view.see_queues(look)
    return "queues"


async def _looks(client: "DevTeamClient") -> "AsyncGenerator[_Look, None]":
    from devteam_cli.merged import merged

    streams: list[AsyncGenerator[_Look, None]] = [
        client.watch_tasks(progress=True),
        client.watch_workers(),
        _queues(client),
    ]
    async with aclosing(merged(*streams)) as looks:
        async for look in looks:
            yield look


async def _queues(client: "DevTeamClient") -> "AsyncGenerator[list[QueueInfo] | str, None]":
    """All queues, once a second; a router that is away is asked again."""
    while True:
        try:
            yield await client.list_queues()
        except (Unavailable, DeadlineExceeded) as error:
            yield error.message
        await asyncio.sleep(_LOOK_AT_QUEUES)


def _data(view: "TopView", now: datetime) -> dict[str, object]:
    running = [
        {
            **output.members(task),
            "tokens": pace.tokens if (pace := view.pace(task)) else None,
            "tokens_per_second": pace and pace.rate(now),
        }
        for task in view.running
    ]
    waiting = [{**output.members(task), "waiting_since": since} for task, since in view.waiting(None)]
    return {
        "workers": view.workers,
        "queues": view.queues,
        "running": running,
        "waiting": waiting,
        "trouble": view.trouble,
    }
