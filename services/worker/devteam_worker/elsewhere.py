"""Places where the owner's code runs, so that it can block nothing but itself."""

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class OwnersLoop:
    """An event loop in a thread of its own. However long code blocks it, beats and streams go on."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._stopped = asyncio.Event()
        # Daemons, all of them: code that never returns must not keep the process.
        self._thread = threading.Thread(target=self._turn, name="owner", daemon=True)

    def start(self) -> None:
        """Begin to turn."""
        self._thread.start()

    def stop(self) -> None:
        """Take no more. Code that still blocks ends with the process."""
        self._loop.call_soon_threadsafe(self._stopped.set)

    def begin(self, work: Coroutine[Any, Any, T]) -> "Elsewhere[T]":
        """Have a coroutine run there."""
        return Elsewhere(self._loop, work)

    def _turn(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._stopped.wait())


class Elsewhere(Generic[T]):
    """A coroutine at work in the event loop of another thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T]) -> None:
        self._loop = loop
        self._task: asyncio.Task[T] | None = None
        self._over: Future[asyncio.Task[T]] = Future()
        self._over.set_running_or_notify_cancel()
        loop.call_soon_threadsafe(self._begin, work)

    async def outcome(self) -> T:
        """Wait for its end. Cancellation leaves it at work."""
        return (await asyncio.wrap_future(self._over)).result()

    def when_over(self, callback: Callable[[], None]) -> None:
        """Call back once it has ended, from whichever thread."""
        self._over.add_done_callback(lambda _: callback())

    def cancel(self) -> None:
        """Stop it as soon as it lets itself be stopped."""
        self._loop.call_soon_threadsafe(self._cancel)

    async def stopped(self) -> None:
        """Cancel it, and wait until it has really ended."""
        self.cancel()
        await asyncio.wrap_future(self._over)

    def _begin(self, work: Coroutine[Any, Any, T]) -> None:
        self._task = self._loop.create_task(work)
        self._task.add_done_callback(self._over.set_result)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()


def begin_in_thread(call: Callable[[], T], name: str) -> "asyncio.Future[T]":
    """As asyncio.to_thread, with a thread for each call: none waits for another, and none keeps the process.

    Nothing stops code in a thread: whoever waits for it no longer leaves it at work.
    """
    called: Future[T] = Future()
    called.set_running_or_notify_cancel()
    context = contextvars.copy_context()

    def run() -> None:
        try:
            called.set_result(context.run(call))
        except StopIteration as error:
            # A future refuses to carry one.
            called.set_exception(RuntimeError(f"raised StopIteration: {error}"))
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            called.set_exception(error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return asyncio.wrap_future(called)
