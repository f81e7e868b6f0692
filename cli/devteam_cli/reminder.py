"""A word to whoever waits and has not been told what for."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_AFTER = 2.0


@contextmanager
def reminder(say: Callable[[], object]) -> Iterator[None]:
    """Call `say` once, two seconds into the block, unless that has ended by then. Use it in a running event loop."""
    timer = asyncio.get_running_loop().call_later(_AFTER, say)
    try:
        yield
    finally:
        timer.cancel()
