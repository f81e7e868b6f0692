"""What a worker's process is told from outside: to end, to begin anew, or to look at what its owner wants."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from devteam.mesh.errors import InvalidInput
from devteam.mesh.process import end_at_next_signal
from devteam.mesh.tasks import stop_signals
from devteam_worker.drain_wish import take_wish
from devteam_worker.helm import Helm
from devteam_worker.owner import LOOK_SIGNAL, RESTART_SIGNAL
from devteam_worker.presence import OwnPresence
from devteam_worker.settings import WorkerSettings


class Told:
    """The signals of this process, from when it listens until it ends or begins anew.

    `read_settings` reads them as they would be at a new start, and may take its time; it raises InvalidInput.
    """

    def __init__(
        self, presence: OwnPresence, read_settings: Callable[[], WorkerSettings], again: asyncio.Event
    ) -> None:
        self._presence = presence
        self._read_settings = read_settings
        self._again = again
        self._look = asyncio.Event()
        self._ends: list[asyncio.Future[Any]] = []

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Hear signals while the block runs."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(RESTART_SIGNAL, self._restart)
        loop.add_signal_handler(LOOK_SIGNAL, self._look.set)
        with stop_signals() as stopped:
            self._ends = [stopped, asyncio.ensure_future(self._again.wait())]
            try:
                yield
            finally:
                for end in self._ends:
                    end.cancel()
                await asyncio.wait(self._ends)

    async def to_end(self) -> None:
        """Return once this worker's work shall end."""
        await asyncio.wait(self._ends, return_when=asyncio.FIRST_COMPLETED)
        loop = asyncio.get_running_loop()
        # A wish that comes now comes too late, and must not kill the process: not even while it begins anew.
        for number in (RESTART_SIGNAL, LOOK_SIGNAL):
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)
        stop = self._ends[0]
        if not stop.done():
            self._presence.stopping(again=True)
        # At once if it is there already; else it may still come, and what drains to begin anew only ends then.
        stop.add_done_callback(self._stopped)

    async def steer(self, helm: Helm) -> None:
        """Do what the owner wants of the worker at work, for ever."""
        while True:
            await self._look.wait()
            self._look.clear()
            within = await asyncio.to_thread(take_wish, *self._presence.place)
            if within is not None:
                helm.drain(within)
            await self._take_over(helm)

    async def _take_over(self, helm: Helm) -> None:
        try:
            change = await helm.take_over(await asyncio.to_thread(self._read_settings))
        except InvalidInput as wrong:
            self._presence.looked_in_vain(wrong.message)
        else:
            self._presence.looked(helm.slots, change.applied, change.waiting)

    def _stopped(self, stop: asyncio.Future[Any]) -> None:
        if stop.cancelled():
            return  # nobody sent a signal
        self._again.clear()
        end_at_next_signal()
        self._presence.stopping()

    def _restart(self) -> None:
        try:
            self._read_settings()
        except InvalidInput as wrong:
            self._presence.refused(wrong.message)
        else:
            self._again.set()
