"""A stream over as many connections as it takes."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import TypeVar

from devteam.events import Interrupted
from devteam.mesh.clock import Clock
from devteam.mesh.errors import DevTeamError, Unavailable
from devteam.mesh.tasks import Backoff

_Item = TypeVar("_Item")

# Reasons beside Unavailable for which a stream is opened again. A proxy that resets one shows as CANCELLED, without any
# word of ours; whoever reads too slowly is let go, and begins anew; whoever opens streams too fast may open them later.
_INTERRUPTIONS = {"CANCELLED", "SLOW_CONSUMER", "RATE_LIMITED"}


async def reconnected(
    connect: Callable[[], AsyncGenerator[_Item, None]],
    clock: Clock,
    patience: float,
    is_over: Callable[[], bool] = lambda: False,
) -> AsyncGenerator[_Item | Interrupted, None]:
    """What connections tell, one after the other, until one ends and `is_over`; Interrupted between them.

    Raises what a connection raises, unless that is an interruption. Before the first item, that is raised too once
    `patience` seconds have passed.
    """
    backoff = Backoff(clock)
    deadline: float | None = clock.monotonic() + patience
    interrupted = False
    while True:
        try:
            async with aclosing(connect()) as items:
                async for item in items:
                    backoff.reset()
                    deadline, interrupted = None, False
                    yield item
            if is_over():
                return
            reason = "the stream ended early"
        except DevTeamError as error:
            if not _is_interruption(error) or (deadline is not None and clock.monotonic() >= deadline):
                raise
            reason = error.message
        if deadline is None and not interrupted:
            interrupted = True
            yield Interrupted(reason)
        await backoff.pause()


def _is_interruption(error: DevTeamError) -> bool:
    return isinstance(error, Unavailable) or error.reason in _INTERRUPTIONS
