"""Our own worker, before the conformance suite."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from devteam_worker.app import Owner, serve
from devteam_worker.settings import load_settings

from devteam.mesh.clock import SystemClock
from devteam.mesh.ids import TimeOrderedIds
from devteam.testing.conformance.launch import Launcher
from devteam.testing.conformance.stage import MODEL, QUEUE, Stage
from devteam.testing.conformance.suite import chosen, play
from devteam.testing.conformance.verdict import Verdict


class InProcess:
    """Starts it in the suite's own event loop. What it ends with is of no interest: the suite sees the wire."""

    by_hand = False
    traces = ""

    def __init__(self, url: str) -> None:
        flags = {"api_url": url, "queue": [QUEUE], "models": [MODEL], "provider": "sim", "concurrency": 2}
        self._settings = load_settings(None, {**flags, "worker_id": "w1"}, {})
        self._task: asyncio.Task[None] | None = None

    @property
    def gone(self) -> bool:
        return self._task is not None and self._task.done()

    async def start(self) -> None:
        await self.stop()
        until = asyncio.Event().wait
        self._task = asyncio.create_task(serve(self._settings, Owner(until, lambda _: None)))

    async def stop(self) -> None:
        task, self._task = self._task, None
        # More than once: a cancellation that meets the end of a call may get lost in gRPC.
        while task is not None and not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=1)
        if task is not None and not task.cancelled():
            task.exception()


@asynccontextmanager
async def staged(patience: float) -> AsyncIterator[Stage]:
    """A mesh for it, on a free port, and it is at hand."""
    clock = SystemClock()
    stage = Stage("127.0.0.1", 0, clock, TimeOrderedIds(clock), patience=patience)
    async with stage.open():
        stage.launcher = launcher = InProcess(stage.server.url)
        try:
            yield stage
        finally:
            await launcher.stop()


async def examined(*scenes: str, patience: float, launcher: Launcher | None = None) -> Sequence[Verdict]:
    """What becomes of these scenes; of all, if none is named."""
    async with staged(patience) as stage:
        stage.launcher = launcher or stage.launcher
        return await play(stage, chosen(scenes), lambda _: None)
