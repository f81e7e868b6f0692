"""Keeps a store in step with the roster: some changes before they are answered, the others soon after."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager

import structlog

from devteam.mesh.clock import Clock
from devteam.mesh.errors import Unavailable
from devteam_registry.domain import Worker
from devteam_registry.ports import WorkerStore

_log = structlog.get_logger()

_FLUSH_EVERY = 1.0
# A database that neither answers nor refuses must not hold up everyone else for ever.
_PATIENCE = 5.0


class Journal:
    """Writes one change at a time, so that the store sees changes in the order in which memory did.

    `remembered` tells what the store should hold of a worker; None: nothing.
    """

    def __init__(self, store: WorkerStore, clock: Clock, remembered: Callable[[str], Worker | None]) -> None:
        self._store = store
        self._clock = clock
        self._remembered = remembered
        self._writing = asyncio.Lock()
        self._dirty: set[str] = set()
        self._marked = asyncio.Event()

    def mark(self, worker_ids: Iterable[str]) -> None:
        """Note that the store is behind for these workers; the next flush sees to it."""
        self._dirty.update(worker_ids)
        if self._dirty:
            self._marked.set()

    def turn(self) -> asyncio.Lock:
        """The right to read memory, `write`, and change memory, with no other write in between."""
        return self._writing

    async def write(self, worker_id: str, worker: Worker | None) -> None:
        """Store `worker`, or forget the id if it is None; only within a turn. Raises Unavailable."""
        try:
            await self._write([worker] if worker else [], [] if worker else [worker_id])
        except BaseException:
            # It may have happened or not: let a flush put memory's truth into the store.
            self.mark([worker_id])
            raise

    async def flush(self) -> None:
        """Write everything that was marked. What could not be written stays marked. Raises Unavailable."""
        async with self._writing:
            behind, self._dirty = self._dirty, set()
            self._marked.clear()
            try:
                await self._write_all(behind)
            except BaseException:
                self.mark(behind)
                raise

    async def run(self) -> None:
        """Flush for ever, at most once a second, and try again when the store is not there."""
        while True:
            await self._marked.wait()
            try:
                await self.flush()
            except Unavailable as error:
                _log.warning("flush postponed", error=error.message, workers=len(self._dirty))
            await self._clock.sleep(_FLUSH_EVERY)

    async def _write_all(self, worker_ids: Iterable[str]) -> None:
        known = {worker_id: self._remembered(worker_id) for worker_id in sorted(worker_ids)}
        saved = [worker for worker in known.values() if worker is not None]
        deleted = [worker_id for worker_id, worker in known.items() if worker is None]
        await self._write(saved, deleted)

    async def _write(self, saved: Sequence[Worker], deleted: Sequence[str]) -> None:
        async with in_time():
            if saved:
                await self._store.save_many(saved)
            if deleted:
                await self._store.delete_many(deleted)


@asynccontextmanager
async def in_time() -> AsyncIterator[None]:
    """What is asked of a store inside has to be answered within a few seconds. Raises Unavailable."""
    try:
        async with asyncio.timeout(_PATIENCE):
            yield
    except TimeoutError:
        raise Unavailable("the store does not answer; try again", reason="STORAGE_UNAVAILABLE") from None
