"""When keys were last used, written behind: a call costs no write."""

from collections.abc import Callable
from datetime import datetime

import structlog

from devteam.mesh.clock import Clock
from devteam.mesh.errors import Unavailable
from devteam_registry.journal import in_time
from devteam_registry.keys.ports import KeyStore

_log = structlog.get_logger()

# Seconds between two writes; nothing finer than a minute is kept.
_WRITE_EVERY = 30.0


class Uses:
    """Writes down which keys were used. `taken` names those that were since it was asked last."""

    def __init__(self, store: KeyStore, clock: Clock, taken: Callable[[], frozenset[str]]) -> None:
        self._store = store
        self._clock = clock
        self._taken = taken
        self._written: dict[str, datetime] = {}
        self._behind: dict[str, datetime] = {}

    def last(self, key_id: str) -> datetime | None:
        """When a key was last used, as far as is known in this process."""
        return self._behind.get(key_id) or self._written.get(key_id)

    async def write(self) -> None:
        """Write what is not written. What could not be written is kept for the next time. Raises Unavailable."""
        minute = self._clock.now().replace(second=0, microsecond=0)
        self._behind.update({key_id: minute for key_id in self._taken() if self._written.get(key_id) != minute})
        if not self._behind:
            return
        writing = dict(self._behind)
        async with in_time():
            await self._store.note_uses(writing)
        self._written.update(writing)
        self._behind = {key_id: used for key_id, used in self._behind.items() if writing.get(key_id) != used}

    async def run(self) -> None:
        """Write for ever, and try again when the store is not there."""
        while True:
            await self._clock.sleep(_WRITE_EVERY)
            try:
                await self.write()
            except Unavailable as error:
                _log.warning("uses of keys not stored", error=error.message)
