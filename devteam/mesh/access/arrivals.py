"""Messages of which only the beginning is there: gRPC keeps up to 4 MiB of each for as long as its sender likes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

from devteam.mesh.access.rules import RULES
from devteam.mesh.errors import DeadlineExceeded, ResourceExhausted
from devteam.mesh.interceptors.call import Call

# For each key, or address: messages that arrive at a time, and calls whose turn has not come; of those gRPC takes no
# more than their windows, 64 KiB each.
_AT_ONCE, _WAITING = 32, 500
# Seconds for a message to be there, waiting for its turn included.
_PATIENCE = 10.0


@dataclass(slots=True)
class _Turns:
    free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))
    users: int = 0


class Arrivals:
    """Reads a few messages at a time of whoever makes calls that strangers may make, and none that takes too long."""

    def __init__(self) -> None:
        self._turns: dict[str, _Turns] = {}

    @asynccontextmanager
    async def layer(self, call: Call) -> AsyncIterator[None]:
        """Have the requests of a call wait for their turn."""
        if call.subject and RULES[call.method].open:
            call.arriving = partial(self._turn, call.subject)
        yield

    @asynccontextmanager
    async def _turn(self, subject: str) -> AsyncIterator[None]:
        turns = self._turns.setdefault(subject, _Turns())
        if turns.users >= _AT_ONCE + _WAITING:
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
