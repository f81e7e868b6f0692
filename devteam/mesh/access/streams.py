"""The streams that are open by key: no more than so many, and none longer than its key holds."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from devteam.mesh.access.caller import Caller
from devteam.mesh.access.keyring import Keyring, invalid_key
from devteam.mesh.clock import Clock, Timer
from devteam.mesh.errors import ResourceExhausted, Unauthenticated
from devteam.mesh.interceptors.call import Call, in_words

# Seconds between two looks at the wall clock, which may be set while a stream is open.
_LOOK_AGAIN = 60.0


class KeyStreams:
    """Counts the open streams of each key, or address, and ends those whose key ends. `most` of 0: any number."""

    def __init__(self, keyring: Keyring, clock: Clock, most: int) -> None:
        self._clock = clock
        self._most = most
        self._open: dict[str, set[Call]] = {}
        self._timers: dict[Call, Timer] = {}
        keyring.on_ended(self._end)

    @asynccontextmanager
    async def layer(self, call: Call) -> AsyncIterator[None]:
        """Know a stream while it is open. Raises ResourceExhausted where there are too many already."""
        if not call.streaming or not call.subject or call.caller is None:
            yield
            return
        self._admit(call, call.caller)
        try:
            with in_words(call, Unauthenticated):
                yield
        finally:
            self._forget(call)

    def _admit(self, call: Call, caller: Caller) -> None:
        streams = self._open.setdefault(call.subject, set())
        if self._most and len(streams) >= self._most:
            raise ResourceExhausted(
                f"{call.subject} has {len(streams)} streams open, as many as it may; end some, or use another key",
                reason="STREAM_LIMIT",
                retry_after=5.0,
                metadata={"subject": call.subject},
            )
        streams.add(call)
        self._watch(call, caller)

    def _watch(self, call: Call, caller: Caller) -> None:
        if caller.expires_at is None:
            return
        left = (caller.expires_at - self._clock.now()).total_seconds()
        if left <= 0:
            call.end(invalid_key())
            return
        self._timers[call] = self._clock.call_later(min(left, _LOOK_AGAIN), partial(self._watch, call, caller))

    def _forget(self, call: Call) -> None:
        if timer := self._timers.pop(call, None):
            timer.cancel()
        streams = self._open[call.subject]
        streams.discard(call)
        if not streams:
            del self._open[call.subject]

    def _end(self, key_id: str) -> None:
        for call in list(self._open.get(f"key {key_id}", ())):
            call.end(invalid_key())
