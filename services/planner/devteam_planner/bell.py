"""Wakes those who watch a plan when something about it was stored. Says that, never what: the store says what."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from devteam.mesh.clock import Clock

# What a listener hears when the plan or the state of one of its tasks was written.
CHANGED = ""


class Listener:
    """Gathers rings from the moment it was made; whatever rings between two looks is heard at the next."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rung: set[str] = set()
        self._wake = asyncio.Event()

    def ring(self, what: str) -> None:
        """Note that something was stored."""
        self._rung.add(what)
        self._wake.set()

    async def heard(self, seconds: float) -> set[str]:
        """What rang since the last look, at once if something did; nothing after `seconds` of silence.

        Holds CHANGED for the plan and its tasks, and the ids of tasks that have new tokens.
        """
        if seconds > 0:
            timer = self._clock.call_later(seconds, self._wake.set)
            try:
                await self._wake.wait()
            finally:
                timer.cancel()
        self._wake.clear()
        rung, self._rung = self._rung, set()
        return rung


class Bell:
    """One for all plans of this process. Other processes may write to the same store: silence proves nothing."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._listeners: defaultdict[str, set[Listener]] = defaultdict(set)
        self._of_all: set[Listener] = set()

    def ring(self, plan_id: str, what: str = CHANGED) -> None:
        """Wake everyone who listens to the plan. `what`: CHANGED, or the id of a task that has new tokens."""
        for listener in self._listeners.get(plan_id, ()):
            listener.ring(what)
        if what == CHANGED:
            for listener in self._of_all:
                listener.ring(what)

    @property
    def listeners(self) -> int:
        """How many listen now."""
        return sum(map(len, self._listeners.values()))

    @contextmanager
    def listening(self, plan_id: str) -> Iterator[Listener]:
        """Hear of the plan while the block runs. Look at the store after entering, so that nothing is missed."""
        listener = Listener(self._clock)
        self._listeners[plan_id].add(listener)
        try:
            yield listener
        finally:
            self._listeners[plan_id].discard(listener)
            if not self._listeners[plan_id]:
                del self._listeners[plan_id]

    @contextmanager
    def listening_to_all(self) -> Iterator[Listener]:
        """Hear CHANGED of whichever plan while the block runs; nothing of tokens."""
        listener = Listener(self._clock)
        self._of_all.add(listener)
        try:
            yield listener
        finally:
            self._of_all.discard(listener)
