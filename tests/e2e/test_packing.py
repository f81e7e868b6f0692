"""An answer that was streamed, in the database of a mesh and to those who come later."""

import asyncio
import sqlite3
from contextlib import closing

import pytest

from devteam.client import DevTeamClient
from devteam.events import TextToken, Tokens
from devteam.specs import Generation
from tests.e2e.programs import Mesh

pytestmark = pytest.mark.e2e


async def test_a_streamed_answer_is_packed_and_told_as_before(mesh: Mesh, client: DevTeamClient) -> None:
    how = Generation(options={"tokens": 60, "tokens_per_second": 20, "first_token_ms": 0})
    task = await client.create_task("Say it slowly", model="sim", generation=how)
    live = await told(client, task.id)
    async with asyncio.timeout(60):
        while rows(mesh, task.id) != 1:  # noqa: ASYNC110 - nobody is told
            await asyncio.sleep(0.2)
    assert await told(client, task.id) == live
    assert live == (await client.get_task(task.id)).output


async def told(client: DevTeamClient, task_id: str) -> str:
    """All that a watcher hears, from the first token on."""
    texts = [
        token.text
        async for event in client.watch_task(task_id)
        if isinstance(event, Tokens)
        for token in event.tokens
        if isinstance(token, TextToken)
    ]
    return "".join(texts)


def rows(mesh: Mesh, task_id: str) -> int:
    with closing(sqlite3.connect(f"file:{mesh.data / 'planner.db'}?mode=ro", uri=True)) as database:
        [count] = database.execute("SELECT count(*) FROM token_batches WHERE task_id = ?", (task_id,)).fetchone()
    return int(count)
