"""Work that goes on for ever, and how a process ends it."""

import asyncio
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

from devteam.mesh.clock import Clock


async def cancelled(task: "asyncio.Task[None]") -> None:
    """Cancel `task` and wait until it has ended. Raises what it raised, unless that was the cancellation."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@asynccontextmanager
async def background(*jobs: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Run jobs beside the body, in one group: the first that fails ends the body, and the body's end cancels them.

    One that ends as cancelled although nobody cancelled it has failed: RuntimeError.
    """
    async with asyncio.TaskGroup() as group:
        tasks = [_started(group, job) for job in jobs]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


async def together(*jobs: Callable[[], Awaitable[None]]) -> None:
    """Run jobs in one group until the last has ended. The first that fails ends the others; see `background`."""
    async with asyncio.TaskGroup() as group:
        for job in jobs:
            _started(group, job)


def _started(group: asyncio.TaskGroup, job: Callable[[], Awaitable[None]]) -> "asyncio.Task[None]":
    return group.create_task(_run(job), name=getattr(job, "__qualname__", repr(job)))


async def _run(job: Callable[[], Awaitable[None]]) -> None:
    try:
        await job()
    except asyncio.CancelledError as stray:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        # Somebody cancelled what it waited for. A group takes that for an end that was wished, and goes on without it.
        raise RuntimeError(f"{task.get_name()} ended as cancelled, and nobody had cancelled it") from stray


async def stop_signal() -> str:
    """Wait for SIGINT or SIGTERM, and return its name."""
    with stop_signals() as received:
        return await received


@contextmanager
def stop_signals() -> Iterator[asyncio.Future[str]]:
    """Hear SIGINT and SIGTERM from here to the end of the block; gives the name of the first to come."""
    loop = asyncio.get_running_loop()
    received: asyncio.Future[str] = loop.create_future()

    def on_signal(name: str) -> None:
        if not received.done():
            received.set_result(name)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal, number.name)
    try:
        yield received
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


class Backoff:
    """Growing, jittered pauses between tries; `reset` after a success."""

    def __init__(self, clock: Clock, *, first: float = 0.2, longest: float = 3.0) -> None:
        self._clock = clock
        self._first = first
        self._longest = longest
        self._next = first

    def reset(self) -> None:
        """Start again with the shortest pause."""
        self._next = self._first

    async def pause(self) -> None:
        """Wait between half of the current pause and all of it, then double it."""
        await self._clock.sleep(self.step())

    def step(self) -> float:
        """The seconds to wait now, for who waits by himself; the next ones are twice as many."""
        seconds = self._next * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret
        self._next = min(self._next * 2, self._longest)
        return seconds
