"""When a worker looks at its local models, and what of them is news."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest
from devteam_worker.inventory import Inventory
from devteam_worker.providers.base import LocalModel

from devteam.mesh.tasks import background
from tests.fakes.agent_script import PATIENCE

COLD, WARM = LocalModel("ollama:llama3.2", resident=False), LocalModel("ollama:llama3.2", resident=True)
OTHER = LocalModel("ollama:qwen3", resident=True)


class Shelf:
    """A machine with models, an inventory of it that looks when it should, and whoever is in a hurry to tell."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self.models: tuple[LocalModel, ...] = (COLD, OTHER)
        self.looked: asyncio.Queue[int] = asyncio.Queue()
        self.gate = asyncio.Event()
        self.gate.set()
        self.hurried = asyncio.Event()
        self.inventory = Inventory(self._look, aliases={"fast": "ollama:llama3.2"}, patience=patience)

    async def has_looked(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.looked.get()
        for _ in range(10):
            await asyncio.sleep(0)

    async def _look(self) -> tuple[LocalModel, ...]:
        await self.gate.wait()
        self.looked.put_nowait(1)
        return self.models


@pytest.fixture
async def shelf() -> AsyncIterator[Shelf]:
    """Looked at once, and told."""
    shelf = Shelf()
    await shelf.inventory.look()
    await shelf.has_looked()
    shelf.inventory.told(shelf.inventory.models)
    async with background(partial(shelf.inventory.run, shelf.hurried.set)):
        yield shelf


async def test_it_looks_with_each_beat_and_news_is_what_was_not_told(shelf: Shelf) -> None:
    shelf.inventory.beaten()
    await shelf.has_looked()
    assert not shelf.inventory.untold
    shelf.models = (WARM, OTHER)
    shelf.inventory.beaten()
    await shelf.has_looked()
    assert shelf.inventory.untold
    assert not shelf.hurried.is_set()
    shelf.inventory.told(shelf.inventory.models)
    assert not shelf.inventory.untold


async def test_another_order_is_no_news(shelf: Shelf) -> None:
    shelf.models = (OTHER, COLD)
    shelf.inventory.beaten()
    await shelf.has_looked()
    assert not shelf.inventory.untold


@pytest.mark.parametrize("name", ["ollama:llama3.2", "fast"])
async def test_a_run_that_loaded_its_model_is_news_that_does_not_wait(shelf: Shelf, name: str) -> None:
    shelf.models = (WARM, OTHER)
    shelf.inventory.ran(name)
    await shelf.has_looked()
    assert shelf.hurried.is_set()
    assert shelf.inventory.models == (WARM, OTHER)


@pytest.mark.parametrize("name", ["ollama:qwen3", "opus"])
async def test_a_run_on_any_other_model_is_none(shelf: Shelf, name: str) -> None:
    """One that was in memory, or lies elsewhere."""
    shelf.inventory.ran(name)
    await asyncio.sleep(0)
    assert shelf.looked.empty()


async def test_it_looks_no_more_often_than_once_a_beat(shelf: Shelf) -> None:
    """However many runs end on a model that is never found in memory: the next beat's look has been made already."""
    shelf.inventory.ran("fast")
    await shelf.has_looked()
    shelf.inventory.ran("fast")
    shelf.inventory.beaten()
    for _ in range(10):
        await asyncio.sleep(0)
    assert shelf.looked.empty()
    assert not shelf.hurried.is_set()
    shelf.inventory.beaten()
    await shelf.has_looked()


async def test_a_provider_that_hangs_leaves_the_list_as_it_was() -> None:
    shelf = Shelf(patience=0.01)
    await shelf.inventory.look()
    shelf.gate.clear()
    shelf.models = ()
    await asyncio.wait_for(shelf.inventory.look(), PATIENCE)
    assert shelf.inventory.models == (COLD, OTHER)
