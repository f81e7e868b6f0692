"""Watches while the mesh goes away and comes back."""

import asyncio
from collections.abc import AsyncIterator, Mapping

from devteam import Event, Interrupted, TaskChanged, TaskState, Tokens
from devteam.testing import FakeMesh, Run


class Dictation:
    """Answers word by word, as far as the test lets it: `allow` more words, then wait until they are `said`."""

    def __init__(self) -> None:
        self._allowed = asyncio.Semaphore(0)
        self._said = asyncio.Condition()
        self._count = 0

    async def answer(self, run: Run) -> AsyncIterator[str]:
        for word in run.prompt.split():
            await self._allowed.acquire()
            yield f"{word} "
            async with self._said:
                self._count += 1
                self._said.notify_all()

    async def say(self, words: int) -> None:
        """Let that many words be said, and wait until they are."""
        target = self._count + words
        for _ in range(words):
            self._allowed.release()
        async with asyncio.timeout(60), self._said:
            await self._said.wait_for(lambda: self._count >= target)


class Reader:
    """Reads a watch in the background and lets a test wait for what it has read."""

    def __init__(self, events: AsyncIterator[Event]) -> None:
        self._events = events
        self._more = asyncio.Condition()
        self.read: list[Event] = []

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.read if isinstance(event, Tokens))

    @property
    def places(self) -> list[int]:
        """The place of every token, in the order they came."""
        batches = [event for event in self.read if isinstance(event, Tokens)]
        return [seq for batch in batches for seq in range(batch.first_seq, batch.last_seq + 1)]

    async def run(self) -> None:
        async for event in self._events:
            async with self._more:
                self.read.append(event)
                self._more.notify_all()

    async def until_text(self, text: str) -> None:
        async with asyncio.timeout(60), self._more:
            await self._more.wait_for(lambda: self.text == text)

    async def until_interrupted(self) -> None:
        async with asyncio.timeout(60), self._more:
            await self._more.wait_for(lambda: isinstance(self.read[-1], Interrupted))


async def test_a_watch_outlives_the_server_without_a_gap_or_a_double() -> None:
    """Stopped in the middle of the answer and started on the same port, it goes on with the next token."""
    dictation = Dictation()
    async with FakeMesh(dictation.answer) as mesh, mesh.client() as client, asyncio.TaskGroup() as group:
        task = await client.create_task("one two three four five six seven", model="m")
        reader = Reader(client.watch_task(task.id))
        reading = group.create_task(reader.run())
        await dictation.say(3)
        await reader.until_text("one two three ")
        await mesh.stop()
        await dictation.say(2)
        await reader.until_interrupted()
        await mesh.start()
        await dictation.say(2)
        async with asyncio.timeout(60):
            await reading
    assert reader.text == "one two three four five six seven "
    assert reader.places == [1, 2, 3, 4, 5, 6, 7]
    last = reader.read[-1]
    assert isinstance(last, TaskChanged)
    assert last.task.state is TaskState.SUCCEEDED


async def test_a_plans_watch_outlives_the_server_too() -> None:
    """Every step keeps its own place."""
    dictation = Dictation()
    steps: list[Mapping[str, object]] = [
        {"id": "a", "prompt": "one two", "model": "m"},
        {"id": "b", "prompt": "{{a.output}} three", "model": "m", "dependsOn": ["a"]},
    ]
    async with FakeMesh(dictation.answer) as mesh, mesh.client() as client, asyncio.TaskGroup() as group:
        plan = await client.create_plan("n", steps)
        reader = Reader(client.watch_plan(plan.id))
        reading = group.create_task(reader.run())
        await dictation.say(3)
        await reader.until_text("one two one ")
        await mesh.stop()
        await reader.until_interrupted()
        await mesh.start()
        await dictation.say(2)
        async with asyncio.timeout(60):
            await reading
    assert reader.text == "one two one two three "
    assert reader.places == [1, 2, 1, 2, 3]


async def test_a_mesh_that_ended_the_task_meanwhile_tells_the_rest() -> None:
    """The whole answer came while nobody could listen."""
    dictation = Dictation()
    async with FakeMesh(dictation.answer) as mesh, mesh.client() as client, asyncio.TaskGroup() as group:
        task = await client.create_task("one two three", model="m")
        reader = Reader(client.watch_task(task.id))
        reading = group.create_task(reader.run())
        await dictation.say(1)
        await reader.until_text("one ")
        await mesh.stop()
        await dictation.say(2)
        await mesh.start()
        async with asyncio.timeout(60):
            await reading
    assert reader.text == "one two three "


async def test_leaving_a_watch_ends_its_stream() -> None:
    """A caller who has seen enough leaves nothing behind on the server."""
    dictation = Dictation()
    async with FakeMesh(dictation.answer) as mesh, mesh.client() as client:
        task = await client.create_task("one two three", model="m")
        await dictation.say(1)
        watch = client.watch_task(task.id)
        async for event in watch:
            if isinstance(event, Tokens):
                break
        await watch.aclose()
        assert (await client.cancel_task(task.id)).state is TaskState.CANCELLED
