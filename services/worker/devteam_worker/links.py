"""A worker's lines, one to each Router."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Protocol

import structlog

from devteam.mesh.clock import Clock, Timer
from devteam_worker.runs import Runs

_log = structlog.get_logger()

# Cut off from every Router for so long, the worker stops its runs: by then somebody else is about to run them.
SELF_STOP = 90.0
# A Router that was cut off for a moment, or that starts anew at once, finds its runs as they were; a Planner whose
# Router is gone is already with the next one, and a reader should not have to wait for longer.
ADRIFT_AFTER = 1.0
# A Registry that has just started does not know its Routers yet: one list without a Router says little.
_LEFT_OUT_TWICE = 2
# Among the timers, the one that runs while there is no line at all.
_ALL = ""


class Line(Protocol):
    """A line to one Router."""

    def wake(self) -> None:
        """One of the Router's runs has something to say."""

    def look_around(self) -> None:
        """Runs have begun, ended or changed hands."""

    async def run(self) -> None:
        """Stay connected, for ever."""


class Links:
    """Keeps a line to every Router that is listed. `dial` makes one to an address.

    What is bound to a Router that stays away is a stray after `adrift_after` seconds: every other Router is offered it.
    Cut off from all of them for `self_stop` seconds, the worker stops what it runs.
    """

    def __init__(
        self,
        runs: Runs,
        dial: Callable[[str], Line],
        clock: Clock,
        *,
        adrift_after: float = ADRIFT_AFTER,
        self_stop: float = SELF_STOP,
    ) -> None:
        self._runs = runs
        self._dial = dial
        self._clock = clock
        self._adrift_after = adrift_after
        self._self_stop = self_stop
        self._listed: tuple[str, ...] = ()
        # Routers that have a line and are not listed, and how often in a row they were not.
        self._left_out: dict[str, int] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._lines: dict[str, Line] = {}
        self._attached: set[str] = set()
        self._nobody = asyncio.Event()
        self._nobody.set()
        self._timers: dict[str, Timer] = {}
        self._news = asyncio.Event()

    def follow(self, addresses: Sequence[str]) -> None:
        """These are the Routers. A line to any other one ends when it has been left out twice and has no run."""
        self._listed = tuple(addresses)
        unlisted = [address for address in self._tasks if address not in self._listed]
        self._left_out = {address: self._left_out.get(address, 0) + 1 for address in unlisted}
        self._news.set()

    def wake(self, router: str = "") -> None:
        """There is something to say to this Router; to none in particular: runs have begun, ended or changed hands."""
        if router:
            if router in self._lines:
                self._lines[router].wake()
            return
        for line in self._lines.values():
            line.look_around()
        self._news.set()

    async def run(self) -> None:
        """Open lines and close them, for ever."""
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    self._news.clear()
                    self._open(group)
                    self._close()
                    await self._news.wait()
        finally:
            for timer in self._timers.values():
                timer.cancel()

    @contextmanager
    def attached(self, router: str) -> Iterator[None]:
        """The line to this Router is up for as long as the block runs."""
        self._stop_timer(router)
        self._stop_timer(_ALL)
        self._attached.add(router)
        self._nobody.clear()
        try:
            yield
        finally:
            self._broke(router)

    async def cut_off(self) -> None:
        """Return once no line is up."""
        await self._nobody.wait()

    def _open(self, group: asyncio.TaskGroup) -> None:
        for address in self._listed:
            if address not in self._tasks:
                line = self._lines[address] = self._dial(address)
                task = self._tasks[address] = group.create_task(line.run(), name=f"link {address}")
                task.add_done_callback(partial(self._closed, address))

    def _close(self) -> None:
        bound = {item.router for item in self._runs}
        for address, times in list(self._left_out.items()):
            if times >= _LEFT_OUT_TWICE and address not in bound:
                del self._left_out[address]
                self._tasks[address].cancel()

    def _closed(self, address: str, _: object) -> None:
        del self._lines[address], self._tasks[address]
        self._left_out.pop(address, None)
        self._stop_timer(address)
        # It may be listed again by now.
        self._news.set()

    def _broke(self, router: str) -> None:
        self._attached.discard(router)
        self._runs.silence(router)
        self._timers[router] = self._clock.call_later(self._adrift_after, lambda: self._runs.set_adrift(router))
        if not self._attached:
            self._nobody.set()
            self._timers[_ALL] = self._clock.call_later(self._self_stop, self._give_up)

    def _stop_timer(self, name: str) -> None:
        if timer := self._timers.pop(name, None):
            timer.cancel()

    def _give_up(self) -> None:
        if self._runs.active():
            _log.warning("cut off from every router for too long: stopping what runs", seconds=self._self_stop)
        self._runs.stop_all()
