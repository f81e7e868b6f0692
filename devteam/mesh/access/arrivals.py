"""Messages of which only the beginning is there: gRPC keeps up to 4 MiB of each for as long as its sender likes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

from devteam.mesh.access.caller import STRANGER
from devteam.mesh.access.rules import RULES
from devteam.mesh.errors import DeadlineExceeded, ResourceExhausted
from devteam.mesh.interceptors.call import Call

# For each key, or address: messages that arrive at a time, and calls whose turn has not come; of those gRPC takes no
# more than their windows, 64 KiB each. Those of a key are more than its rates let through at once.
_AT_ONCE, _WAITING, _WAITING_OF_KEY = 32, 500, 4_000
# Seconds for a message to be there, waiting for its turn included.
_PATIENCE = 10.0


@dataclass(slots=True)
class _Turns:
    free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))
    users: int = 0


class Arrivals:
    """Reads a few messages at a time of each caller but the mesh's services, and none that takes too long.

    Streams of requests are left out, but for those of strangers: what a worker says comes when it comes.
    """

    def __init__(self) -> None:
        self._turns: dict[str, _Turns] = {}

    @asynccontextmanager
    async def layer(self, call: Call) -> AsyncIterator[None]:
        """Have the requests of a call wait for their turn."""
        if call.subject and (call.single or RULES[call.method].open):
            waiting = _WAITING if call.caller is STRANGER else _WAITING_OF_KEY
            call.arriving = partial(self._turn, call.subject, waiting)
        yield

    @asynccontextmanager
    async def _turn(self, subject: str, waiting: int) -> AsyncIterator[None]:
        turns = self._turns.setdefault(subject, _Turns())
        if turns.users >= _AT_ONCE + waiting:
            raise ResourceExhausted(
                f"too many requests of {subject} have begun to arrive, and are not all there; end some",
                reason="STREAM_LIMIT",
                retry_after=_PATIENCE,
                metadata={"subject": subject},
            )
        turns.users += 1
        try:
            async with asyncio.timeout(_PATIENCE), turns.free:
                yield
        except TimeoutError:
            raise DeadlineExceeded(
                f"no request was there within {_PATIENCE:g} s; send it again, all of it at once"
            ) from None
        finally:
            turns.users -= 1
            if not turns.users:
                del self._turns[subject]
