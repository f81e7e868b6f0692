"""Stores of the Registry that a test can take away, or make wait."""

import asyncio
from collections.abc import Sequence

from devteam_registry.domain import Worker
from devteam_registry.routing import Routing
from devteam_registry.store.memory import MemoryRoutingStore, MemoryWorkerStore

from devteam.mesh.errors import Unavailable


class _Gated:
    """Fails while `down`; writes wait while `gate` is not set; `arrived` is set by the first that comes there."""

    def __init__(self) -> None:
        super().__init__()
        self.down = False
        self.gate = asyncio.Event()
        self.gate.set()
        self.arrived = asyncio.Event()

    async def _pass(self) -> None:
        self.arrived.set()
        await self.gate.wait()
        if self.down:
            raise Unavailable("the store is down", reason="STORAGE_UNAVAILABLE")


class FakeWorkerStore(_Gated, MemoryWorkerStore):
    """`saves` lists the ids of every save."""

    def __init__(self) -> None:
        super().__init__()
        self.saves: list[list[str]] = []

    async def save_many(self, workers: Sequence[Worker]) -> None:
        await self._pass()
        self.saves.append([worker.worker_id for worker in workers])
        await super().save_many(workers)

    async def delete_many(self, worker_ids: Sequence[str]) -> None:
        await self._pass()
        await super().delete_many(worker_ids)


class FakeRoutingStore(_Gated, MemoryRoutingStore):
    """`forgetful` keeps what it is given and then fails, as a database does whose answer gets lost."""

    def __init__(self) -> None:
        super().__init__()
        self.forgetful = False

    async def save(self, routing: Routing) -> None:
        await self._pass()
        await super().save(routing)
        if self.forgetful:
            raise Unavailable("the answer got lost", reason="STORAGE_UNAVAILABLE")
