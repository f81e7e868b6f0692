"""What an answer of the page holds open, and for how long."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from devteam_cli.page.routes import Routes

from devteam.events import Event, Gap
from tests.fakes.clock import FakeClock


class Watched:
    """A client whose watch of a task tells one thing, and knows whether it is still open."""

    def __init__(self) -> None:
        self.open = 0
        # Kept: what nobody knows any more would be closed by the garbage collector.
        self.streams = list[AsyncGenerator[Event, None]]()

    def watch_task(self, task_id: str) -> AsyncGenerator[Event, None]:
        self.streams.append(self._events(task_id))
        return self.streams[-1]

    async def _events(self, task_id: str) -> AsyncGenerator[Event, None]:
        self.open += 1
        try:
            yield Gap(task_id, "", 1, 1, 2)
            await asyncio.Event().wait()
        finally:
            self.open -= 1


async def left() -> Any:
    """The browser goes away."""
    return {"type": "http.disconnect"}


@pytest.mark.parametrize("method", ["HEAD", "GET"])
async def test_a_watch_ends_with_the_answer_that_it_was_opened_for(method: str) -> None:
    client: Any = Watched()
    feed: Any = None
    sent = list[Any]()

    async def send(part: Any) -> None:
        sent.append(part)

    asked = {"type": "http", "method": method, "path": "/page/tasks/t-1/live", "headers": [], "query_string": b""}
    async with asyncio.timeout(60):
        await Routes(client, feed, FakeClock(), {}).app()(asked, left, send)
    assert sent[0]["status"] == 200
    assert (len(client.streams), client.open) == (1, 0)


async def test_a_watch_ends_when_its_answer_cannot_even_begin() -> None:
    client: Any = Watched()
    feed: Any = None

    async def send(_part: Any) -> None:
        raise OSError("the browser has gone")

    asked = {"type": "http", "method": "GET", "path": "/page/tasks/t-1/live", "headers": [], "query_string": b""}
    with pytest.raises(OSError, match="has gone"):
        await Routes(client, feed, FakeClock(), {}).app()(asked, left, send)
    assert (len(client.streams), client.open) == (1, 0)
