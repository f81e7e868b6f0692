"""By how much this process grows."""

import asyncio
import gc
from collections.abc import Awaitable, Callable

import psutil  # type: ignore[import-untyped]  # ships no types

_WARM, _COUNT = 200, 600
# For what is still under way when the last one waits.
_SETTLE = 3.0

# Has so many more begin to wait, numbered from the first on, and returns once all of them do.
Begin = Callable[[int, int], Awaitable[None]]


async def growth(begin: Begin) -> float:
    """In KB for each that begins to wait, once some have warmed it up."""
    await begin(0, _WARM)
    before = await _memory()
    await begin(_WARM, _COUNT)
    return (await _memory() - before) / _COUNT / 1000


async def _memory() -> int:
    await asyncio.sleep(_SETTLE)
    gc.collect()
    return int(psutil.Process().memory_full_info().uss)
