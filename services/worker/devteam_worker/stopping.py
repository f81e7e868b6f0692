"""A wish to stop, from whichever thread it comes, or from whoever runs the process."""

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopping:
    """Set once by anyone, waited for in an event loop."""

    def __init__(self) -> None:
        self._wished = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._heard: asyncio.Event | None = None

    def stop(self) -> None:
        """Wish it."""
        self._wished.set()
        if self._loop is not None and self._heard is not None:
            # A loop that was closed meanwhile has nobody left who waits.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._heard.set)

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """SIGINT and SIGTERM wish it while the block runs; a second one does what it did before.

        Only in the process's main thread, the one that signals reach; elsewhere nothing changes.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        before = {number: signal.getsignal(number) for number in _SIGNALS}

        def restore() -> None:
            for number in _SIGNALS:
                if loop.remove_signal_handler(number):
                    signal.signal(number, before[number])

        def heard() -> None:
            restore()
            self.stop()

        for number in _SIGNALS:
            loop.add_signal_handler(number, heard)
        try:
            yield
        finally:
            restore()

    async def wait(self) -> None:
        """Return once it is wished."""
        self._loop, self._heard = asyncio.get_running_loop(), asyncio.Event()
        if not self._wished.is_set():
            await self._heard.wait()
